"""Class folders: a folder per class with pictures at any depth, in folders of parts or without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets.found import Found, found
from pathplugins.data.patch_sets.segpanda200 import is_mask
from pathplugins.data.patch_sets.slide_ids import tcga_slide
from pathplugins.data.patch_sets.tree import Tree, join, part_folders, part_of
from pathplugins.published.patchtcga import MASK_SUFFIX

EXPECTED = "a folder per class with pictures in it, or folders train, val, test with such folders"


def read_class_folders(root: Path) -> Found:
    """Read pictures of all classes; classes are numbered in the order of the bytes of their names.

    The slide is the TCGA barcode in the file name, else the first folder between class and picture.
    """
    tree = Tree(root)
    folders = class_folders(tree)
    classes = sorted({name for _, _, name in folders}, key=str.encode)
    numbers = {name: number for number, name in enumerate(classes)}
    for folder, part, name in folders:
        pictures = [*_below(tree, folder)]
        _check_below(tree, pictures, folder)
        if not pictures:
            tree.fault(folder, "no pictures", f"expected {EXPECTED}; move it out")
        for picture in pictures:
            inside = picture[len(folder) + 1 :].decode()
            slide = tcga_slide(inside.rpartition("/")[2]) or inside.partition("/")[0] * ("/" in inside)
            tree.add(picture, label=numbers[name], slide=slide, part=part)
    if len(classes) < 2 and not tree.faults:
        names = ", ".join(classes) or "none"
        tree.fault(b"", "fewer than two classes", f"its class folders are {names}; expected {EXPECTED}")
    return found(tree, kind="class_folders", expected=EXPECTED, task="classes", classes=tuple(classes))


def class_folders(tree: Tree) -> list[tuple[bytes, str, str]]:
    """Return (folder, part, name of the class) of each class folder.

    Raises:
        PathPluginsError: folders of parts lie beside others, or hold pictures: what is a class is not certain.
    """
    loose, folders = _named(tree, b"")
    parts = part_folders(tree.root, folders)
    if b"" in parts:
        return [(name, parts[b""], name.decode()) for name in folders]
    if others := [name.decode() for name in folders if name not in parts]:
        raise PathPluginsError(
            f"{tree.root}: {', '.join(name.decode() for name in parts)} is the name of a part and {', '.join(others)} "
            f"is not; expected {EXPECTED}: move one kind out"
        )
    found_there = []
    for part_folder, part in parts.items():
        loose, names = _named(tree, part_folder)
        if loose:
            raise PathPluginsError(
                f"{tree.root / part_folder.decode()} holds {loose} pictures and is the name of a part, no class; "
                f"expected {EXPECTED}"
            )
        found_there += [(join(part_folder, name), part, name.decode()) for name in names]
    return found_there


def _named(tree: Tree, folder: bytes) -> tuple[int, list[bytes]]:
    """Return how many pictures lie in a folder, and its folders that do not begin with ``_``."""
    pictures, folders = tree.files_and_folders(folder)
    return len(pictures), [name for name in folders if not name.startswith(b"_")]


def _check_below(tree: Tree, pictures: list[bytes], folder: bytes) -> None:
    """Add faults for what shows that a folder is a patch set and no class: folders of parts in it, and masks."""
    below = {picture[len(folder) + 1 :].rpartition(b"/")[0].partition(b"/")[0].decode() for picture in pictures}
    parts = sorted(name for name in below if part_of(name))
    if parts:
        detail = f"it has {', '.join(parts)} in it: name this folder instead of {tree.root.name}, or move them out"
        tree.fault(folder, "a patch set and no class", detail)
        return
    stems = {picture.rpartition(b".")[0] for picture in pictures}
    masks = [each for each in pictures if is_mask(each) and each.rpartition(b".")[0][: -len(MASK_SUFFIX)] in stems]
    if masks:
        detail = f"{len(masks)} masks beside pictures; read it as kind segpanda200, or move them out"
        tree.fault(masks[0], "a mask and no picture", detail)


def _below(tree: Tree, folder: bytes) -> Iterator[bytes]:
    """Yield the pictures of a folder and of the folders in it, sorted folder by folder."""
    pictures, folders = tree.files_and_folders(folder)
    for name in pictures:
        yield join(folder, name)
    for name in folders:
        yield from _below(tree, join(folder, name))
