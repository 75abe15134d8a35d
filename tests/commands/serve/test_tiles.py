"""Tiles show the slide, from any reader, and slides are closed when nobody looks."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.commands.serve.tiles import OVERLAP_PX, TILE_PX, OpenSlides, tile
from pathplugins.core.errors import PathPluginsError

pytest.importorskip("openslide")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain image of 1,300 x 700 px whose colours say where a pixel lies."""
    ys, xs = np.mgrid[:700, :1300]
    pixels = np.stack([xs * 255 // 1299, ys * 255 // 699, np.full_like(xs, 90)], axis=2).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "ramp.png"
    Image.fromarray(pixels).save(path)
    return path


def pixels_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)  # [H, W, 3]


@pytest.mark.parametrize("which", ["slide", "image"])
def test_the_tiles_of_each_level_are_the_slide(which: str, request: pytest.FixtureRequest) -> None:
    slides = OpenSlides()
    with slides.slide(request.getfixturevalue(which)) as shared:
        w0, h0 = shared.slide.size_px0
        for level in range(8, len(shared.zoom.level_tiles)):
            w, h = shared.zoom.level_dimensions[level]
            whole = np.zeros((h, w, 3), int)
            columns, rows = shared.zoom.level_tiles[level]
            for row in range(rows):
                for column in range(columns):
                    part = pixels_of(tile(shared, level, column, row))
                    x, y = (number * TILE_PX - OVERLAP_PX * (number > 0) for number in (column, row))
                    part = part[: h - y, : w - x]
                    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
            right = shared.slide.read(0, 0, (w0, h0), (w, h)).astype(int)
            assert abs(whole - right).mean() < 4, level
        with pytest.raises(PathPluginsError, match="has no tile 99, 0 at level 9; it has"):
            tile(shared, 9, 99, 0)
        with pytest.raises(PathPluginsError, match="has no tile"):
            tile(shared, -1, 0, 0)
    slides.close()


def test_a_slide_is_closed_after_its_last_reader(image: Path, slide: Path, tmp_path: Path) -> None:
    closed: list[str] = []
    slides = OpenSlides(most=1)
    with slides.slide(image) as shared:
        close = shared.slide.close
        shared.slide.close = lambda: (closed.append("image"), close())  # type: ignore[method-assign]
        with slides.slide(slide) as other:  # the image has to go, and is being read
            assert other is not shared
            assert closed == []
            assert len(tile(shared, 9, 0, 0)) > 100
    assert closed == ["image"]
    with slides.slide(image) as again:
        assert again is not shared
        slides.close()
        assert len(tile(again, 9, 0, 0)) > 100


def test_a_file_that_was_written_anew_is_opened_anew(image: Path, tmp_path: Path) -> None:
    slides, path = OpenSlides(), tmp_path / "a.png"
    path.write_bytes(image.read_bytes())
    with slides.slide(path) as first, slides.slide(path) as second:
        assert first is second
    os.utime(path, (1, 1))
    with slides.slide(path) as third:
        assert third is not first
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(PathPluginsError, match=r"b\.png"), slides.slide(tmp_path / "b.png"):
        pass


def test_many_threads_read_few_slides(image: Path, slide: Path) -> None:
    slides, wrong = OpenSlides(most=1), []

    def look(path: Path) -> None:
        for _ in range(4):
            with slides.slide(path) as shared:
                if not tile(shared, 9, 0, 0).startswith(b"\xff\xd8"):
                    wrong.append(path)

    threads = [threading.Thread(target=look, args=(path,)) for path in (image, slide) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
