"""Walking folders: order of bytes, parts in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.data.patch_sets.tree import Tree, part_folders, part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Train", "train"),
        ("val", "valid"),
        ("VALID", "valid"),
        ("validation", "valid"),
        ("test", "test"),
        ("tests", ""),
    ],
)
def test_part_of(name: str, part: str) -> None:
    assert part_of(name) == part


def test_part_folders() -> None:
    assert part_folders(Path("/x/set"), [b"a", b"test", b"val"]) == {b"test": "test", b"val": "valid"}
    assert part_folders(Path("/x/set"), [b"a"]) == {b"": ""}
    assert part_folders(Path("/x/Val"), [b"a"]) == {b"": "valid"}


def test_names_are_sorted_by_bytes(tmp_path: Path) -> None:
    for name in ("b.png", "B.PNG", "a.tif", "é.jpg", "_.bmp", "n.txt", ".h.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    tree = Tree(tmp_path)
    pictures, folders = tree.files_and_folders(b"")
    assert pictures == [b"B.PNG", b"_.bmp", b"a.tif", b"b.png", "é.jpg".encode()]
    assert folders == [b"folder"]
    assert tree.other_files == 1
