"""PTCGA200: a folder per organ, patches of TCGA slides flat in it."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.patch_sets.found import Found, found
from pathplugins.data.patch_sets.slide_ids import tcga_slide
from pathplugins.data.patch_sets.tree import Tree, join, part_of
from pathplugins.published.patchtcga import IGNORED_FOLDER, ORGAN_OF

EXPECTED = "<organ>/<patch>.jpg, the organs being adrenal_gland, bile_liver, bladder, ..."


def read_ptcga200(root: Path) -> Found:
    """Read the patches of all organ folders; the 24 folders are 20 classes, missing ones are noted."""
    tree = Tree(root)
    loose, folders = tree.files_and_folders(b"")
    if loose:
        tree.fault(loose[0], "no organ", f"{len(loose)} pictures lie in no organ folder; expected {EXPECTED}")
    there = set()
    for folder in folders:
        organ = folder.decode().casefold()
        if organ == IGNORED_FOLDER:
            continue
        if organ not in ORGAN_OF:
            parts = "folders of parts hold classes in kind class_folders; " if part_of(organ) else ""
            tree.unknown_folder(folder, tuple(ORGAN_OF), f"{parts}rename it or move it out")
            continue
        there.add(organ)
        pictures, deeper = tree.files_and_folders(folder)
        for name in deeper:
            tree.fault(join(folder, name), "unknown folder", f"expected {EXPECTED}; move its pictures up, or it out")
        for name in pictures:
            tree.add(join(folder, name), label=ORGAN_OF[organ], slide=tcga_slide(name.decode()), part="")
    if lacking := [organ for organ in ORGAN_OF if organ not in there]:
        tree.notes.append(f"{len(lacking)} of {len(ORGAN_OF)} organ folders are not there: {', '.join(lacking)}")
    return found(tree, kind="ptcga200", expected=EXPECTED)
