"""Walks follow links to folders, visit each folder once, and leave hidden ones out."""

import os
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.walk import files_below, walk_folders


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("far/deep/x.h5", "near/a.h5", "near/.hidden/y.h5", "near/.z.h5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "near" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "near" / "again").symlink_to(tmp_path / "far")
    (tmp_path / "near" / "loop").symlink_to(tmp_path / "near")
    (tmp_path / "near" / "lost.h5").symlink_to(tmp_path / "nowhere")
    return tmp_path / "near"


def test_links_are_followed_once_and_loops_end(tree: Path) -> None:
    assert files_below(tree) == [tree / "a.h5", tree / "again" / "deep" / "x.h5"]


def test_folders_can_be_left_out_and_shared_between_walks(tree: Path) -> None:
    been: set[tuple[int, int]] = set()
    seen = []
    for place, below, _ in walk_folders(tree, been):
        seen.append(place.name)
        below[:] = [name for name in below if name != "again"]
    assert seen == ["near", "linked", "deep"]
    assert list(walk_folders(tree.parent / "far", been)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_an_error(tree: Path) -> None:
    (tree / "closed").mkdir(mode=0)
    with pytest.raises(PathPluginsError, match="closed: cannot be searched"):
        files_below(tree)
