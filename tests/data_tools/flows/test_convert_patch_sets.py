"""Patch sets become training files: each image checked, paths relative to the output (T1, T5 to T7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import patch_folders as drawn
import pytest

WRITERS = {
    "ptcga200": drawn.write_ptcga200,
    "pcam200": drawn.write_pcam200,
    "segpanda200": drawn.write_segpanda200,
    "patchcamelyon": drawn.write_patchcamelyon,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_convert(tmp_path: Path, pathdata: Callable[..., tuple[int, str]], kind: str) -> None:
    root = WRITERS[kind](tmp_path / "datasets" / "mine")
    out = tmp_path / "data"
    code, said = pathdata("convert", kind, root, "--to", "sharegpt", "--out", out, "--questions", "open")
    assert code == 0, said
    samples = json.loads((out / f"{kind}.json").read_text())
    assert len(samples) == {"ptcga200": 48, "pcam200": 36}.get(kind, 18)
    assert all((out / image).is_file() for sample in samples for image in sample["images"])
    assert not any(Path(image).is_absolute() for sample in samples for image in sample["images"])
    assert kind in json.loads((out / "dataset_info.json").read_text())


def test_faults_stop_it_and_are_listed(tmp_path: Path, pathdata: Callable[..., tuple[int, str]]) -> None:
    root = drawn.write_segpanda200(tmp_path / "SegPANDA200", cases=1)
    case = next((root / "train").glob("*/*"))
    (case / "x.0_mask.png").unlink()
    (case / "x.1.png").write_bytes(b"broken")
    command = ("convert", "segpanda200", root, "--to", "record", "--out", tmp_path / "out.jsonl")
    code, said = pathdata(*command)
    assert code == 1
    assert "missing mask" in said
    assert "not an image" in said
    assert not (tmp_path / "out.jsonl").exists()
    code, _ = pathdata(*command, "--on-bad", "skip", "--questions", "open")
    assert code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 7
