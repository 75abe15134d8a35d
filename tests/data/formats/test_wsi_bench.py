"""WSI-Bench: the training file of WSI-LLaVA and its test file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.wsi_bench import read_wsi_bench

ASK = {"from": "human", "value": "<image>\nWhat?"}
SAY = {"from": "gpt", "value": "Tissue."}


def write(path: Path, samples: list[dict[str, Any]], *, lines: bool = False) -> Path:
    path.write_text("\n".join(map(json.dumps, samples)) if lines else json.dumps(samples))
    return path


def test_both_files(tmp_path: Path) -> None:
    train = [{"id": 5, "image": "TCGA-BRCA/a.pt", "conversations": [ASK, SAY], "metadata": "Morphology"}]
    (record,), bad = read_wsi_bench(write(tmp_path / "train.json", train))
    assert not bad
    assert (record.id, record.images, record.meta) == (
        *("5", (str(tmp_path / "TCGA-BRCA/a.pt"),)),
        {"metadata": "Morphology"},
    )
    line = {"question_id": "Stage_a-1_1", "image": "TCGA-BRCA/a.pt", "question": "Which\nstage?", "T-answer": "II"}
    lines = [
        line,
        {**line, "question_id": 2, "T-answer": None},
        {**line, "image": ["a", "b"]},
        {**line, "question": "<image>"},
    ]
    (record,), bad = read_wsi_bench(write(tmp_path / "test.jsonl", lines, lines=True))
    assert record.id == "Stage_a-1_1"
    assert record.conversations == (("user", "<image>\nWhich\nstage?"), ("assistant", "II"))
    assert [sample.reason for sample in bad] == ["no T-answer", "no image", "misplaced placeholder"]
    (tmp_path / "lfs.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(PathPluginsError, match="Git-LFS pointer"):
        read_wsi_bench(tmp_path / "lfs.json")
