"""A patch set: what is asked of it wrongly, and what a mask is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import BadImage
from pathplugins.data.patch_sets import read_patch_set


def test_nothing_is_opened_before_it_is_read(tmp_path: Path) -> None:
    root = drawn.write_ptcga200(tmp_path, ("brain", "lung"), slides=1, patches=2)
    broken = next((root / "lung").iterdir())
    broken.write_bytes(b"broken")
    patches = read_patch_set(root, "ptcga200")
    assert len(patches) == 4
    with pytest.raises(BadImage, match=r"lung.*is not an image"):
        patches.read([*patches.names].index(f"lung/{broken.name}"))


def test_classes_have_no_masks(tmp_path: Path) -> None:
    patches = read_patch_set(drawn.write_ptcga200(tmp_path, ("brain", "lung"), slides=1, patches=1), "ptcga200")
    assert patches.mask_file(0) is None
    with pytest.raises(PathPluginsError, match="has labels and no masks"):
        patches.read_mask(0)


def test_taking_keeps_masks_with_their_pictures(tmp_path: Path) -> None:
    patches = read_patch_set(drawn.write_segpanda200(tmp_path), "segpanda200")
    picked = patches.take(np.array([7, 2]))
    assert picked.mask_file(0) == patches.mask_file(7)
    assert np.array_equal(picked.read_mask(1), patches.read_mask(2))
    assert len(patches.take([])) == 0
    with pytest.raises(IndexError):
        patches.take([len(patches)])
