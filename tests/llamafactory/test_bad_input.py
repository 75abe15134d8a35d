"""Bad bags and bad rows through the real command: one report, before training, naming every file and row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.host


def rewrite(path: Path, **datasets: np.ndarray | None) -> None:
    """Replace datasets of a good bag; None removes one."""
    with h5py.File(path, "r+") as file:
        del file["features_checksums"]  # as a tool that changes features has to
        for name, value in datasets.items():
            del file[name]
            if value is not None:
                file[name] = value


def spoil(toy: Any, name: str) -> None:
    """Make the bag ``name`` bad in the way its name says."""
    path = toy.bag(name, 0, rows=11)
    with h5py.File(path) as file:
        features, coords = file["features"][:], file["coords_yx"][:]
    if name == "missing":
        path.unlink()
    elif name == "truncated":
        path.write_bytes(path.read_bytes()[:900])
    elif name == "no_features":
        rewrite(path, features=None)
    elif name == "narrow":
        rewrite(path, features=features[:, :13])
    elif name == "short_coords":
        rewrite(path, coords_yx=coords[:7])
    elif name == "nan":
        features[3, 5] = np.nan
        rewrite(path, features=features)
    elif name == "empty":
        rewrite(path, features=features[:0], coords_yx=coords[:0])
    elif name == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))


BAD = {
    "missing": "missing.h5",
    "truncated": "truncated.h5",
    "no_features": "features",
    "narrow": "13",
    "short_coords": "7",
    "nan": "NaN",
    "empty": "empty.h5",
    "picture": "picture.h5",
}


@pytest.fixture(scope="module")
def bad(toy: Any, quick: dict[str, Any]) -> dict[str, Any]:
    """Two tables: eight good rows and eight bad ones, one with neither question nor caption; and another bad one."""
    good = [toy.row(toy.data / "bags" / f"train{i}.h5", i % 4) for i in range(8)]
    for name in (*BAD, "also_missing"):
        spoil(toy, name)
    (toy.data / "bags" / "also_missing.h5").unlink()
    rows = [toy.row(toy.data / "bags" / f"{name}.h5", 0) for name in BAD]
    mute = {**good[0], "slide_id": "mute", "caption": ""}
    toy.table("spoilt", [*good[:4], *rows, mute, *good[4:]])
    toy.table("spoilt_val", [*good, toy.row(toy.data / "bags" / "also_missing.h5", 0)])
    return {
        **quick,
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
    }


def report(out: Path) -> dict[tuple[str, int], str]:
    samples = [json.loads(line) for line in (out / "bad_samples.jsonl").read_text().splitlines()]
    return {(Path(sample["source"]).name, sample["row"]): sample["detail"] for sample in samples}


def check_report(found: dict[tuple[str, int], str]) -> None:
    for line, (name, said) in enumerate(BAD.items(), start=6):
        assert f"{name}.h5" in found["spoilt.csv", line]
        assert said in found["spoilt.csv", line]
    assert "caption" in found["spoilt.csv", 14]
    assert "also_missing.h5" in found["spoilt_val.csv", 10]
    assert len(found) == len(BAD) + 2


def test_every_bad_row_is_named_before_anything_is_trained(
    run: Callable[..., Any], bad: dict[str, Any], tmp_path: Path
) -> None:
    """On two ranks: both stop, none waits for the other."""
    keys = {**bad, "dataset": "spoilt_report", "eval_dataset": "spoilt_val_report", "output_dir": tmp_path / "out"}
    env = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}
    log = run("train", "wsi_llava_stage2.yaml", keys, env=env, rc=1).log
    check_report(report(tmp_path / "out"))
    assert "10 of 26 samples cannot be used" in log
    for place in (*(f"spoilt.csv:{line}" for line in range(6, 15)), "spoilt_val.csv:10", "on_bad_sample: skip"):
        assert place in log
    assert "Running training" not in log
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bad_samples.jsonl"]


def test_skip_trains_on_the_rest_and_leaves_the_report(
    run: Callable[..., Any], bad: dict[str, Any], tmp_path: Path
) -> None:
    """With a part of the training data held out for evaluation."""
    own = {
        "on_bad_sample": "skip",
        "dataset": "spoilt_report,spoilt_val_report",
        "eval_dataset": "null",
        "val_size": 0.25,
    }
    pace = {"eval_steps": 2, "save_steps": 2}
    done = run("train", "wsi_llava_stage2.yaml", {**bad, **own, **pace, "output_dir": tmp_path})
    check_report(report(tmp_path))
    assert "Num examples = 12" in done.log, "16 good rows, a quarter held out"
    assert done.log.count("10 of 26 samples cannot be used") == 1
    assert done.logged("loss").keys() == {1, 2}
    assert done.logged("eval_loss").keys() == {2}
