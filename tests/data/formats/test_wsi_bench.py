"""WSI-Bench: the training file of WSI-LLaVA and its test file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.wsi_bench import KINDS, read_wsi_bench

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


def test_what_the_published_reader_cuts_or_overlooks_is_named(tmp_path: Path) -> None:
    """It cuts a sample where its roles do not alternate, and pads one without ``<image>``."""
    ask = {"from": "human", "value": "What?"}
    samples = [
        {"id": "good-1", "image": "TCGA-COAD/a.pt", "conversations": [ASK, SAY]},
        {"id": "blind-1", "image": "TCGA-COAD/a.pt", "conversations": [ask, SAY]},
        {"id": "twice-1", "image": "TCGA-COAD/a.pt", "conversations": [ASK, SAY, SAY, ask]},
        {"id": "silent-1", "image": "TCGA-COAD/a.pt", "conversations": [ASK, {"from": "gpt", "value": " "}]},
    ]
    write(tmp_path / "Grading_choice_train.json", samples)
    (good,), bad = read_wsi_bench(tmp_path, split="train", kind="choices")
    assert good.id == "good-1"
    assert [(sample.row, sample.reason) for sample in bad] == [
        (2, "placeholder count"),
        (3, "turn order"),
        (4, "empty answer"),
    ]
    assert "blind-1: 0 <image> in the text but 1 images" in bad[0].detail


def test_a_folder_of_tasks(tmp_path: Path) -> None:
    """As the author's repository has them; the task is the kind of question, and other files are not read."""
    for name in ("1_Report_test", "Staging_test", "Staging_choice_test", "Prognosis_TF_question_test", "Staging_train"):
        sample = {"id": f"{name}-1", "image": "TCGA-BRCA/a.pt", "conversations": [ASK, SAY]}
        write(tmp_path / f"{name}.json", [sample])
    (tmp_path / "notes.json").write_text("no samples")
    found, bad = read_wsi_bench(tmp_path, split="test", kind="open")
    assert not bad
    assert [(record.meta["metadata"], record.id) for record in found] == [
        ("Report", "1_Report_test-1"),
        ("Staging", "Staging_test-1"),
    ]
    assert found[0].images == (str(tmp_path / "TCGA-BRCA/a.pt"),)
    kinds = {kind: [r.meta["metadata"] for r in read_wsi_bench(tmp_path, kind=kind)[0]] for kind in KINDS}
    assert kinds == {
        "open": ["Report", "Staging", "Staging"],
        "choices": ["Staging_choice"],
        "yes_no": ["Prognosis_TF_question"],
    }
    with pytest.raises(PathPluginsError, match=r"no file of split train and kind yes_no; found 1_Report_test.json, "):
        read_wsi_bench(tmp_path, split="train", kind="yes_no")
    with pytest.raises(PathPluginsError, match=r"unknown kind 'choice'. Did you mean 'choices'"):
        read_wsi_bench(tmp_path, kind="choice")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PathPluginsError, match=r"no task of WSI-Bench in this folder; expected \{task\}_test.json"):
        read_wsi_bench(tmp_path / "empty")
