"""Walk the folders of a patch set: always in the order of the bytes of names, whatever the file system says.

Names that begin with ``.`` are ignored. Everything is collected, faults included, so that one report has them all.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import numpy as np

from pathplugins.core.nearest import nearest
from pathplugins.data.patch_sets.patch_set import PARTS
from pathplugins.data.patch_sets.texts import Coded, Texts, TextsBuilder
from pathplugins.data.records import BadSample

SUFFIXES = (b".png", b".jpg", b".jpeg", b".tif", b".tiff", b".bmp")
"""Suffixes of pictures, in any case."""


class Tree:
    """What was found in the folders of a patch set so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[BadSample] = []
        self.notes: list[str] = []
        """Remarks that are no faults."""
        self.other_files = 0
        """Files that are no pictures."""
        self._names, self._masks = TextsBuilder(), TextsBuilder()
        self._labels = array("q")
        self._groups, self._parts = _Numbers(), _Numbers()

    def add(self, name: bytes, *, label: int, slide: str, part: str, mask: bytes = b"") -> None:
        """Add a sample; ``name`` and ``mask`` are relative to the root, and either all samples have a mask or none."""
        self._names.add(name)
        if mask:
            self._masks.add(mask)
        self._labels.append(label)
        self._groups.add(slide)
        self._parts.add(part)

    def fault(self, path: bytes, reason: str, detail: str) -> None:
        """Add a fault of a file or folder."""
        source = str(self.root / path.decode(errors="backslashreplace")) if path else str(self.root)
        self.faults.append(BadSample(source=source, row=None, reason=reason, detail=detail))

    def unknown_folder(self, path: bytes, known: tuple[str, ...], advice: str) -> None:
        """Add the fault of a folder of which nobody knows what it is."""
        name = os.fsdecode(path).rpartition("/")[2]
        near = nearest(name.casefold(), known)
        hint = f"did you mean {near}? " if near else ""
        self.fault(path, "unknown folder", f"{hint}expected {', '.join(known)}; {advice}")

    def files_and_folders(self, folder: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the names of the pictures in a folder, and those of its folders, both sorted."""
        pictures, folders = [], []
        with os.scandir(os.path.join(os.fsencode(self.root), folder)) as entries:  # noqa: PTH118 - names as bytes
            for entry in entries:
                name = entry.name
                if name.startswith(b"."):
                    continue
                if entry.is_dir():
                    folders.append(name)
                elif name.lower().endswith(SUFFIXES):
                    pictures.append(name)
                else:
                    self.other_files += 1
        return [*self._text(folder, sorted(pictures))], [*self._text(folder, sorted(folders))]

    def columns(self) -> dict[str, Texts | Coded | np.ndarray]:
        """Return the fields of a `PatchSet` that hold a value per sample."""
        return {
            "names": self._names.build(),
            "labels": np.array(self._labels, np.int64),
            "groups": self._groups.build(),
            "parts": self._parts.build(),
        }

    def masks(self) -> Texts:
        """Return the masks of all samples."""
        return self._masks.build()

    def _text(self, folder: bytes, names: list[bytes]) -> list[bytes]:
        """Return the names that are UTF-8; the others are faults."""
        if b"".join(names).isascii():
            return names
        good = []
        for name in names:
            try:
                name.decode()
            except UnicodeDecodeError:
                self.fault(join(folder, name), "name is not UTF-8", "split files and reports could not name it; rename")
            else:
                good.append(name)
        return good


class _Numbers:
    """Collects texts of which there are few different ones."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._codes = array("i")

    def add(self, text: str) -> None:
        self._codes.append(self._numbers.setdefault(text, len(self._numbers)))

    def build(self) -> Coded:
        return Coded(tuple(self._numbers), np.array(self._codes, np.int32))


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder, which may be ``b""``."""
    return folder + b"/" + name if folder else name


def part_of(name: str) -> str:
    """Return the part that a folder name stands for, or ``""``."""
    return PARTS.get(name.casefold(), "")


def part_folders(root: Path, folders: list[bytes]) -> dict[bytes, str]:
    """Return the folders of parts among those in the root -> their part; where there are none, the root itself.

    The part of the root is that of its own name: ``PCam200/test`` may be given for ``PCam200``.
    """
    parts = {name: part for name in folders if (part := part_of(name.decode()))}
    return parts or {b"": part_of(root.name)}
