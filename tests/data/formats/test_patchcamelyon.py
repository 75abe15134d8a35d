"""PatchCamelyon as questions, its pictures written out once (T7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.patchcamelyon import read_patchcamelyon
from pathplugins.data.patch_sets import read_patch_set


def test_pictures_become_files(tmp_path: Path) -> None:
    root = drawn.write_patchcamelyon(tmp_path / "h5", count=3, prefix="")
    records, bad = read_patchcamelyon(root, extract_to=tmp_path / "png", split="valid", questions="closed")
    assert not bad
    assert [(r.id, r.conversations[1].text) for r in records] == [
        *(("valid_x_0:closed", "B) no"), ("valid_x_1:closed", "A) yes"), ("valid_x_2:closed", "B) no")),
    ]
    assert records[0].conversations[0].text.splitlines()[1].endswith("Judge by the middle of the image.")
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == [f"valid_x_{n}.png" for n in range(3)]
    patches = read_patch_set(root).part("valid")
    for index, record in enumerate(records):
        assert np.array_equal(np.asarray(Image.open(record.images[0])), np.asarray(patches.read(index)))
    stamps = [path.stat().st_mtime_ns for path in sorted((tmp_path / "png").iterdir())]
    assert read_patchcamelyon(root, extract_to=tmp_path / "png", split="valid", questions="closed")[0] == records
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "png").iterdir())] == stamps


def test_trainers_are_sent_to_convert(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"write them to files once with `pathdata convert patchcamelyon .*h5"):
        read_patchcamelyon(tmp_path / "h5")
