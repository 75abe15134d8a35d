"""Patch sets: labelled pictures of tissue in the layouts in which they are published, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.registry import unknown
from pathplugins.data.patch_sets.class_folders import read_class_folders
from pathplugins.data.patch_sets.found import Found
from pathplugins.data.patch_sets.kinds import KINDS, kind_of
from pathplugins.data.patch_sets.patch_set import PatchSet
from pathplugins.data.patch_sets.patchcamelyon import read_patchcamelyon
from pathplugins.data.patch_sets.pcam200 import read_pcam200
from pathplugins.data.patch_sets.ptcga200 import read_ptcga200
from pathplugins.data.patch_sets.segpanda200 import read_segpanda200

__all__ = ["KINDS", "PatchSet", "find_patch_set", "read_patch_set"]

_READERS: dict[str, Callable[[Path], Found]] = {
    "ptcga200": read_ptcga200,
    "pcam200": read_pcam200,
    "segpanda200": read_segpanda200,
    "patchcamelyon": read_patchcamelyon,
    "class_folders": read_class_folders,
}


def read_patch_set(path: str | Path, kind: str | None = None) -> PatchSet:
    """Read the names, labels, slides and parts of a patch set; no picture is opened.

    Args:
        path: its folder, or the folder of one part of it.
        kind: one of `KINDS`; None finds it (`kind_of`).

    Raises:
        BadSamplesError: folders, masks or files are not as they should be, all of them in one report.
        PathPluginsError: no such folder or kind.
    """
    return find_patch_set(path, kind).whole()


def find_patch_set(path: str | Path, kind: str | None = None) -> Found:
    """Read a patch set and return it with its faults instead of raising them; see `read_patch_set`."""
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise PathPluginsError(f"{path}: no such folder; expected one of labelled pictures{near_path(root)}")
    if kind is not None and kind not in _READERS:
        raise PathPluginsError(unknown("kind of patch set", kind, _READERS))
    return _READERS[kind or kind_of(root)](root)
