"""Crops are of the pictures that have their names now."""

import os
from pathlib import Path

from pathplugins.data_tools.pictures.crop_sources import NAME, changed_sources, record, recording


def test_only_other_content_is_a_change(tmp_path: Path) -> None:
    paths = [Path("a.png"), Path("b.png"), Path("c.png")]
    for path in paths:
        (tmp_path / path).write_bytes(b"one")
    assert changed_sources(tmp_path, tmp_path, paths) == set()  # crops of an earlier version have no list
    with recording(tmp_path) as file:
        record(file, tmp_path, paths[:2])
    os.utime(tmp_path / "a.png")  # copied
    assert changed_sources(tmp_path, tmp_path, paths) == {paths[2]}
    (tmp_path / "b.png").write_bytes(b"two")
    os.utime(tmp_path / "b.png", (5, 5))
    assert changed_sources(tmp_path, tmp_path, paths) == {paths[1], paths[2]}


def test_a_line_that_a_kill_cut_short_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / NAME).write_text('["a.png", 3, 17')
    with recording(tmp_path) as file:
        record(file, tmp_path, [Path("a.png")])
    assert changed_sources(tmp_path, tmp_path, [Path("a.png")]) == set()
