"""PCam200: a folder per part, in it ``normal`` and ``tumor``, in these a folder per case."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.patch_sets.cases import case_folders, parts_of
from pathplugins.data.patch_sets.found import Found, found
from pathplugins.data.patch_sets.tree import Tree, join
from pathplugins.published.patchtcga import TUMOUR_CLASSES

EXPECTED = "{train,val,test}/{normal,tumor}/<case>/<patch>"


def read_pcam200(root: Path) -> Found:
    """Read the patches of all cases; the case is the slide."""
    tree = Tree(root)
    for folder, part in parts_of(tree, EXPECTED):
        for name in tree.files_and_folders(folder)[1]:
            if (label := TUMOUR_CLASSES.get(name.decode().casefold())) is None:
                tree.unknown_folder(join(folder, name), tuple(TUMOUR_CLASSES), "rename it or move it out")
                continue
            for case, pictures in case_folders(tree, join(folder, name), EXPECTED):
                slide = case.rpartition(b"/")[2].decode()
                for picture in pictures:
                    tree.add(join(case, picture), label=label, slide=slide, part=part)
    return found(tree, kind="pcam200", expected=EXPECTED)
