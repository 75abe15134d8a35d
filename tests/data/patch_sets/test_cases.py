"""Folders of cases: what is no case is a fault with its place."""

from __future__ import annotations

from pathlib import Path

import patch_folders as drawn

from pathplugins.data.patch_sets.cases import case_folders, parts_of
from pathplugins.data.patch_sets.tree import Tree


def test_parts_then_cases(tmp_path: Path) -> None:
    root = drawn.write_pcam200(tmp_path / "set", cases=2, patches=1)
    tree = Tree(root)
    assert [*parts_of(tree, "x")] == [(b"test", "test"), (b"train", "train"), (b"val", "valid")]
    wanted = [(f"test/normal/tumor_test_00{n}".encode(), [b"p_0.jpg"]) for n in range(2)]
    assert [*case_folders(tree, b"test/normal", "x")] == wanted
    assert not tree.faults
    (root / "test/normal/tumor_test_000/deep").mkdir()
    assert [*case_folders(tree, b"test/normal", "x")] == wanted
    assert [(fault.source, fault.reason) for fault in tree.faults] == [
        (str(root / "test/normal/tumor_test_000/deep"), "unknown folder")
    ]


def test_a_root_that_is_a_part(tmp_path: Path) -> None:
    root = drawn.write_pcam200(tmp_path / "set", cases=1, patches=1)
    assert [*parts_of(Tree(root / "val"), "x")] == [(b"", "valid")]
