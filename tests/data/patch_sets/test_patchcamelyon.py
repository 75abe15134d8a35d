"""PatchCamelyon: both names of its files, and what can be wrong in them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.data.images import BadImage
from pathplugins.data.patch_sets.patchcamelyon import read_patchcamelyon


@pytest.mark.parametrize("prefix", ["camelyonpatch_level_2_split_", ""])
def test_names_of_both_kinds(tmp_path: Path, prefix: str) -> None:
    patches = read_patchcamelyon(drawn.write_patchcamelyon(tmp_path, count=3, prefix=prefix)).whole()
    assert patches.names[4] == f"{prefix}train_x.h5#1"
    assert [*patches.parts] == ["test"] * 3 + ["train"] * 3 + ["valid"] * 3
    assert patches.labels.tolist() == [0, 1, 0] * 3
    assert {*patches.groups} == {""}
    assert patches.read(4).size == (96, 96)
    assert patches.file(4) is None


def test_files_are_opened_when_they_are_read(tmp_path: Path) -> None:
    patches = read_patchcamelyon(drawn.write_patchcamelyon(tmp_path)).whole()
    (tmp_path / "camelyonpatch_level_2_split_test_x.h5").unlink()
    patches.part("train").read(0)
    with pytest.raises(BadImage, match=r"split_test_x.h5: row 0 cannot be read"):
        patches.part("test").read(0)


def test_a_file_whose_pictures_cannot_be_unpacked_alone_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_patchcamelyon(drawn.write_patchcamelyon(tmp_path, prefix=""))  # a picture in each chunk
    assert caplog.text == ""
    for part, packing in {"train": {"compression": "gzip"}, "test": {}}.items():
        with h5py.File(tmp_path / f"{part}_x.h5", "w") as file:
            file.create_dataset("x", (3000, 96, 96, 3), "u1", **packing)  # h5py guesses (375, 12, 12, 1)
        with h5py.File(tmp_path / f"{part}_y.h5", "w") as file:
            file["y"] = np.zeros((3000, 1, 1, 1), np.uint8)
    read_patchcamelyon(tmp_path)
    (record,) = caplog.records
    path = tmp_path / "train_x.h5"
    assert record.getMessage().splitlines()[1:] == [
        f"{path}: 375 times its bytes; run: h5repack -l x:CHUNK=1x96x96x3 {path} NEW.h5"
    ]


def test_faults(tmp_path: Path) -> None:
    drawn.write_patchcamelyon(tmp_path, count=3, prefix="")
    drawn.write_patchcamelyon(tmp_path / "more", count=3)
    (tmp_path / "more/camelyonpatch_level_2_split_valid_x.h5").rename(
        tmp_path / "camelyonpatch_level_2_split_valid_x.h5"
    )
    (tmp_path / "test_y.h5").unlink()
    (tmp_path / "test_y.h5.gz").write_bytes(b"")
    with h5py.File(tmp_path / "train_y.h5", "w") as file:
        file["y"] = np.zeros((2, 1, 1, 1), np.uint8)
    faults = read_patchcamelyon(tmp_path).faults
    assert sorted((fault.reason, Path(fault.source).name) for fault in faults) == [
        ("compressed", "test_y.h5.gz"),
        ("missing file", "test_x.h5"),
        ("other length", "train_y.h5"),
        ("second file", "valid_x.h5"),
    ]
    told = {fault.reason: fault.detail for fault in faults}
    assert told["other length"] == "2 labels for 3 pictures in train_x.h5; copy both again"
    assert told["missing file"].startswith("its labels (_y.h5) are not there")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"y": np.full((3, 1, 1, 1), 2, np.uint8)}, "other labels"),
        ({"y": np.zeros((3, 2), np.uint8)}, "other labels"),
        ({"z": np.zeros(3)}, "unreadable file"),
        ({"y": h5py.ExternalLink("elsewhere.h5", "y")}, "unreadable file"),
        ({"x": np.zeros((3, 96, 96), np.uint8)}, "other shape"),
        ({"x": np.zeros((3, 96, 96, 3), np.float32)}, "other shape"),
    ],
)
def test_wrong_contents(tmp_path: Path, values: dict, reason: str) -> None:
    drawn.write_patchcamelyon(tmp_path, count=3, prefix="")
    axis = "x" if "x" in values else "y"
    with h5py.File(tmp_path / f"train_{axis}.h5", "w") as file:
        for key, value in values.items():
            file[key] = value
    (fault,) = read_patchcamelyon(tmp_path).faults
    assert (fault.reason, Path(fault.source).name) == (reason, f"train_{axis}.h5")
