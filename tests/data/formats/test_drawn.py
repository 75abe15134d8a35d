"""Drawn images: the same anywhere, drawn once, told apart by what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.drawn import KINDS, caption, read_drawn
from pathplugins.data.records import check_record


def test_records_are_whole_and_images_there(tmp_path: Path) -> None:
    records, bad = read_drawn(tmp_path / "new" / "folder", images=9, seed=2)
    assert not bad
    assert [check_record(record) for record in records] == [None] * 9
    assert len({record.id for record in records}) == 9
    sizes = {Image.open(record.images[0]).size for record in records}
    assert any(width != height for width, height in sizes)
    assert [r.conversations[1].text for r in records[:4]] == [caption(kind) for kind in KINDS]


def test_drawn_once_and_the_same_anywhere(tmp_path: Path) -> None:
    first, _ = read_drawn(tmp_path / "a", images=5)
    stamps = [Path(record.images[0]).stat().st_mtime_ns for record in first]
    again, _ = read_drawn(tmp_path / "a", images=5)
    assert [Path(record.images[0]).stat().st_mtime_ns for record in again] == stamps
    other, _ = read_drawn(tmp_path / "b", images=5)
    for one, two in zip(first, other, strict=True):
        assert Path(one.images[0]).read_bytes() == Path(two.images[0]).read_bytes()
    seeded, _ = read_drawn(tmp_path / "a", images=5, seed=1)
    assert Path(seeded[0].images[0]).read_bytes() != Path(first[0].images[0]).read_bytes()


def test_kinds_differ_more_than_drawings_of_a_kind(tmp_path: Path) -> None:
    records, _ = read_drawn(tmp_path, images=16)
    means = np.array([np.asarray(Image.open(record.images[0])).mean((0, 1)) for record in records])  # [16, 3]
    by_kind = means.reshape(4, 4, 3).swapaxes(0, 1)  # [kind, drawing, 3]
    within = np.abs(by_kind - by_kind.mean(1, keepdims=True)).max()
    between = min(np.abs(a - b).max() for i, a in enumerate(by_kind.mean(1)) for b in by_kind.mean(1)[:i])
    assert between > within


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PathPluginsError, match="to draw images into"):
        read_drawn(tmp_path / "file")
