"""Folders of cases: ``{part}/{class or grade}/{case}/{picture}``, as PCam200 and SegPANDA200 have them."""

from __future__ import annotations

from collections.abc import Iterator

from pathplugins.data.patch_sets.tree import Tree, join, part_folders


def parts_of(tree: Tree, expected: str) -> Iterator[tuple[bytes, str]]:
    """Yield each folder of a part, and the part; the root itself where it has no such folders.

    Args:
        tree: gets a fault for each folder beside the parts, and for two folders of one part.
        expected: the layout, for messages.
    """
    loose, folders = tree.files_and_folders(b"")
    if loose:
        tree.fault(loose[0], "no case", f"{len(loose)} pictures lie in no case folder; expected {expected}")
    parts = part_folders(tree.root, folders)
    seen: dict[str, bytes] = {}
    for folder, part in parts.items():
        if other := seen.get(part):
            detail = f"{other.decode()} is the same part; expected one folder for it, merge them"
            tree.fault(folder, "two folders of one part", detail)
        seen[part] = folder
    if b"" not in parts:
        for folder in folders:
            if folder not in parts:
                tree.unknown_folder(folder, ("train", "val", "valid", "test"), f"expected {expected}; move it out")
    yield from parts.items()


def case_folders(tree: Tree, folder: bytes, expected: str) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield each case folder in a folder of a class, with the sorted names of its pictures."""
    loose, cases = tree.files_and_folders(folder)
    if loose:
        first = join(folder, loose[0])
        tree.fault(first, "no case", f"{len(loose)} pictures lie in no case folder; expected {expected}")
    for name in cases:
        case = join(folder, name)
        pictures, deeper = tree.files_and_folders(case)
        for each in deeper:
            tree.fault(join(case, each), "unknown folder", f"expected {expected}; move its pictures up, or it out")
        yield case, pictures
