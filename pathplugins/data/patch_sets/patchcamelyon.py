"""PatchCamelyon: an H5 file of pictures and one of labels per part, under either of two names."""

from __future__ import annotations

import logging
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.damage import DAMAGE
from pathplugins.data.bags.shapes import own_dataset
from pathplugins.data.images import BadImage
from pathplugins.data.patch_sets.found import Found, found
from pathplugins.data.patch_sets.tree import Tree, part_of

EXPECTED = "camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5 or {train,valid,test}_{x,y}.h5"

_FILE = re.compile(r"(?:camelyonpatch_level_2_split_)?(train|valid|val|test)_([xy])\.h5(\.gz)?", re.IGNORECASE)
_MOST = 16  # files kept open
_COSTLY = 16  # bytes unpacked for one byte of a picture

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class H5Pictures:
    """Reads pictures of H5 files; each process opens them itself, when it reads the first one."""

    root: Path
    _open: dict[tuple[int, str], h5py.File] = field(default_factory=dict, repr=False)

    def read(self, name: str) -> Image.Image:
        """Return the picture ``<file>#<row>``, RGB; one that cannot be read is a ``BadImage``."""
        file, _, row = name.rpartition("#")
        try:
            return Image.fromarray(self._file(file)["x"][int(row)])
        except DAMAGE as error:
            raise BadImage(
                f"{self.root / file}: row {row} cannot be read ({error}); copy the file again", reason="unreadable file"
            ) from error

    def _file(self, name: str) -> h5py.File:
        key = os.getpid(), name  # a file opened before a fork must not be read after it
        if key not in self._open:
            while len(self._open) >= _MOST:
                self._open.pop(next(iter(self._open)))
            self._open[key] = h5py.File(self.root / name, "r")
        return self._open[key]

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "_open": {}}


def is_part_file(name: str) -> bool:
    """Return whether a file is called as one of PatchCamelyon's."""
    return _FILE.fullmatch(name) is not None


def read_patchcamelyon(root: Path) -> Found:
    """Read the labels of all parts; the slides are not in the files, so that they are unknown."""
    tree = Tree(root)
    files: dict[str, dict[str, str]] = {}  # part -> x or y -> file name
    for name in sorted(os.listdir(root), key=os.fsencode):  # noqa: PTH208 - names are all that is needed
        if not (match := _FILE.fullmatch(name)):
            continue
        part, axis = part_of(match[1]), match[2].lower()
        if match[3]:
            tree.fault(name.encode(), "compressed", f"unpack it: gunzip {name}")
        elif other := files.setdefault(part, {}).get(axis):
            tree.fault(name.encode(), "second file", f"{other} is the same; leave one of them")
        else:
            files[part][axis] = name
    costs: list[str] = []
    for part, both in files.items():
        if {*both} == {"x", "y"}:
            _add(tree, part, both["x"], both["y"], costs)
        else:
            (name,) = both.values()
            lacking = "labels (_y.h5)" if "x" in both else "pictures (_x.h5)"
            tree.fault(name.encode(), "missing file", f"its {lacking} are not there; expected {EXPECTED}")
    if costs:
        log.warning("reading one picture unpacks many others, which makes training slow:\n%s", "\n".join(costs))
    return found(tree, kind="patchcamelyon", expected=EXPECTED, inside=H5Pictures(root=root))


def _add(tree: Tree, part: str, x_name: str, y_name: str, costs: list[str]) -> None:
    """Add the samples of a part, or its faults, and what is told of costly pictures."""
    pictures, labels = _shape(tree, x_name, costs), _labels(tree, y_name)
    if pictures is None or labels is None:
        return
    if len(labels) != pictures:
        detail = f"{len(labels)} labels for {pictures} pictures in {x_name}; copy both again"
        tree.fault(y_name.encode(), "other length", detail)
        return
    for row, label in enumerate(labels.tolist()):
        tree.add(f"{x_name}#{row}".encode(), label=label, slide="", part=part)


def _dataset(file: h5py.File, key: str, name: str) -> h5py.Dataset:
    """Return a dataset of a file; a `BadBag` where it is not there or lies in another file."""
    if key not in file:
        there = ", ".join(file) or "nothing"
        raise BadBag(f"{name} has {there}; expected `{key}`", reason="missing dataset")
    return own_dataset(file, key, name)


def _shape(tree: Tree, name: str, costs: list[str]) -> int | None:
    """Return the number of pictures in a file; None where something is wrong with it."""
    try:
        with h5py.File(tree.root / name, "r") as file:
            pictures = _dataset(file, "x", name)
            shape, dtype, factor = pictures.shape, pictures.dtype, _unpacked(pictures)
    except DAMAGE as error:
        tree.fault(name.encode(), "unreadable file", f"{error}; copy it again")
        return None
    if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
        tree.fault(name.encode(), "other shape", f"`x` is {dtype} {[*shape]}; expected uint8 [N, height, width, 3]")
        return None
    if factor > _COSTLY:
        chunk = "x".join(map(str, (1, *shape[1:])))
        path = tree.root / name
        costs.append(f"{path}: {factor:.0f} times its bytes; run: h5repack -l x:CHUNK={chunk} {path} NEW.h5")
    return shape[0]


def _unpacked(pictures: h5py.Dataset) -> float:
    """Return how many bytes are unpacked to read one picture, for each byte of it; 1 where nothing is packed."""
    if pictures.chunks is None or not pictures.id.get_create_plist().get_nfilters() or 0 in pictures.shape:
        return 1.0
    sizes, chunk = pictures.shape[1:], pictures.chunks[1:]
    touched = math.prod(math.ceil(size / part) for size, part in zip(sizes, chunk, strict=True))
    return touched * math.prod(pictures.chunks) / math.prod(sizes)


def _labels(tree: Tree, name: str) -> np.ndarray | None:
    """Return the labels in a file, int64 [N]; None where something is wrong with it."""
    try:
        with h5py.File(tree.root / name, "r") as file:
            labels = _dataset(file, "y", name)[()]
    except DAMAGE as error:
        tree.fault(name.encode(), "unreadable file", f"{error}; copy it again")
        return None
    if labels.ndim < 1 or labels.size != len(labels) or not np.isin(labels, (0, 1)).all():
        detail = f"`y` is {labels.dtype} {[*labels.shape]}; expected [N, 1, 1, 1] with the labels 0 and 1"
        tree.fault(name.encode(), "other labels", detail)
        return None
    return labels.reshape(-1).astype(np.int64)
