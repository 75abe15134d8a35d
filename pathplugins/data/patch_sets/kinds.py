"""The kind of a patch set: by the name of its folder, else by what lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pathplugins.data.patch_sets.patchcamelyon import is_part_file
from pathplugins.data.patch_sets.segpanda200 import is_mask
from pathplugins.data.patch_sets.tree import SUFFIXES, part_of
from pathplugins.published.patchtcga import DATASETS, IGNORED_FOLDER, ORGAN_OF, TUMOUR_CLASSES

KINDS = (*DATASETS, "class_folders")

_ENOUGH_ORGANS = 5  # fewer may be the classes of somebody's own set
_LOOKED_AT = 50  # case folders


def kind_of(root: Path) -> str:
    """Return the kind of the set in a folder.

    A folder called after a kind (``PTCGA200``, ``segpanda200_small``), or the folder of a part in it, is of that kind.
    Else ``_x.h5`` files are PatchCamelyon's, five organs or more PTCGA200's, ``normal`` and ``tumor`` with folders in
    them PCam200's and masks SegPANDA200's; everything else is class folders.
    """
    whole = root.parent if part_of(root.name) else root
    if named := [kind for kind in DATASETS if kind in whole.name.casefold()]:
        return named[0]
    names = os.listdir(root)  # noqa: PTH208 - names are all that is needed
    if any(map(is_part_file, names)):
        return "patchcamelyon"
    folded = {name.casefold() for name in names}
    if IGNORED_FOLDER in folded or len(folded & {*ORGAN_OF}) >= _ENOUGH_ORGANS:
        return "ptcga200"
    inside = [root / name for name in names if part_of(name) and (root / name).is_dir()] or [root]
    groups = [group for folder in inside for group in _folders(folder)]
    if groups and all(group.name.casefold() in TUMOUR_CLASSES and any(_folders(group)) for group in groups):
        return "pcam200"
    cases = [case for group in groups for case in _folders(group)][:_LOOKED_AT]
    pictures = (os.fsencode(name) for case in cases for name in os.listdir(case))  # noqa: PTH208
    if any(is_mask(name) for name in pictures if name.lower().endswith(SUFFIXES)):
        return "segpanda200"
    return "class_folders"


def _folders(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
