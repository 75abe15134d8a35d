"""SegPANDA200: as PCam200, with a folder per grade, and a mask ``<stem>_mask.png`` beside each picture."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.patch_sets.cases import case_folders, parts_of
from pathplugins.data.patch_sets.found import Found, found
from pathplugins.data.patch_sets.tree import Tree, join
from pathplugins.published.patchtcga import MASK_SUFFIX

EXPECTED = "{train,val,test}/<grade>/<case>/<patch> with <patch stem>_mask.png beside it"

_MASK = MASK_SUFFIX.encode()


def read_segpanda200(root: Path) -> Found:
    """Read patches and their masks; the case is the slide, the grade of the biopsy is in the name only."""
    tree = Tree(root)
    for folder, part in parts_of(tree, EXPECTED):
        for grade in tree.files_and_folders(folder)[1]:
            for case, files in case_folders(tree, join(folder, grade), EXPECTED):
                slide = case.rpartition(b"/")[2].decode()
                for picture, mask in _pairs(tree, case, files):
                    tree.add(join(case, picture), label=-1, slide=slide, part=part, mask=join(case, mask))
    return found(tree, kind="segpanda200", expected=EXPECTED, masks=tree.masks())


def is_mask(name: bytes) -> bool:
    """Return whether a picture's file name is that of a mask, in any case."""
    return name.rpartition(b".")[0].lower().endswith(_MASK)


def _pairs(tree: Tree, case: bytes, files: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Pair pictures with masks; those without a partner, or with several, are faults."""
    masks: dict[bytes, bytes] = {}
    pictures: dict[bytes, bytes] = {}
    for name in files:
        stem, _, suffix = name.rpartition(b".")
        there, key = (masks, stem[: -len(_MASK)]) if is_mask(name) else (pictures, stem)
        if there is masks and suffix.lower() != b"png":
            detail = "expected PNG, because other formats do not keep class ids exactly; make the mask again"
            tree.fault(join(case, name), "mask is no PNG", detail)
        if (other := there.setdefault(key, name)) != name:
            what = "mask" if there is masks else "picture"
            tree.fault(join(case, name), f"second {what}", f"{other.decode()} has the same stem; leave one of them")
    for key, mask in masks.items():
        if key not in pictures:
            tree.fault(
                join(case, mask), "mask without picture", "expected a picture of its stem beside it; move it out"
            )
    for key, picture in pictures.items():
        if key not in masks:
            wanted = f"{picture.rpartition(b'.')[0].decode()}{MASK_SUFFIX}.png"
            tree.fault(
                join(case, picture), "missing mask", f"expected {wanted} beside it; extract again or move it out"
            )
    return [(picture, masks[key]) for key, picture in pictures.items() if key in masks]
