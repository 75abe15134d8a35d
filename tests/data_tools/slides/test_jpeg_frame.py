"""Damaged JPEG tiles: the fast reader refuses what OpenSlide refuses, bit for bit, and reads the rest as it does."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.slides.jpeg_frame import TileDecoder, find_frame
from pathplugins.data_tools.slides.jpeg_tiles import JpegTiles, OpenSlideNeededError

openslide = pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")
simplejpeg = pytest.importorskip("simplejpeg")

ACROSS, DOWN, SIDE = 4, 3, 256
FLIPS = 60
START_OF_SCAN, SCAN_HEAD = b"\xff\xda", 14


def write(path: Path, **colours: Any) -> list[tuple[int, int]]:
    """Write a slide of tissue; returns (offset, count) of its tiles."""
    picture = paint((ACROSS * SIDE, DOWN * SIDE), seed=5, kind=KINDS[1], mpp=0.5)
    options = {"tile": (SIDE, SIDE), "metadata": None, "compression": "jpeg", "photometric": "rgb"}
    tifffile.imwrite(path, picture, **{**options, **colours})
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def outcome(path: Path, index: int) -> tuple[bool, bool]:
    """Return whether OpenSlide refuses a tile, and whether the reader of tiles does; both read the same pixels else."""
    corner, size = (index % ACROSS * SIDE, index // ACROSS * SIDE), (SIDE, SIDE)
    handle = openslide.OpenSlide(path)
    fast = JpegTiles(path, handle)
    slow = None
    with contextlib.suppress(openslide.OpenSlideError):
        slow = np.asarray(handle.read_region(corner, 0, size).convert("RGB"))
    try:
        read = fast.region(0, *corner, size)
        assert slow is None or np.array_equal(read, slow)
    except OpenSlideNeededError:
        read = None
    finally:
        fast.close()
        handle.close()
    return slow is None, read is None


SPACE = {"level": 80, "outcolorspace": "YCBCR"}


@pytest.mark.parametrize(
    "colours",
    [
        {"compressionargs": SPACE, "subsampling": (1, 1)},
        {"compressionargs": SPACE, "subsampling": (2, 1)},
        {"compressionargs": {"level": 80, "outcolorspace": "RGB"}},
        {"compressionargs": SPACE, "subsampling": (2, 2)},
    ],
    ids=["444", "422", "rgb", "420"],
)
def test_flipped_bytes_are_noticed_as_by_openslide(tmp_path: Path, colours: dict[str, Any]) -> None:
    rng = np.random.default_rng(7)
    path = tmp_path / "s.tif"
    tiles = write(path, **colours)
    whole = path.read_bytes()
    refused = np.zeros((2, 2), int)
    for _ in range(FLIPS):
        index = int(rng.integers(len(tiles)))
        offset, count = tiles[index]
        first = whole.index(START_OF_SCAN, offset) + SCAN_HEAD
        hurt = bytearray(whole)
        hurt[int(rng.integers(first, offset + count - 2))] ^= int(rng.integers(1, 256))
        (tmp_path / "hurt.tif").write_bytes(hurt)
        slow, fast = outcome(tmp_path / "hurt.tif", index)
        refused[int(slow), int(fast)] += 1
    assert refused[1].sum() > FLIPS // 10, "OpenSlide notices some"
    assert refused[1, 0] == 0, "what OpenSlide refuses is refused"
    more = FLIPS // 4 if colours["compressionargs"] is SPACE else 0
    assert refused[0, 1] <= more, "some that are damaged behind the last block; OpenSlide stops before"


@pytest.mark.parametrize(("space", "said"), [("YCBCR", "does not decode: .*premature end"), ("RGB", "ends grey")])
def test_cut_data_are_named(tmp_path: Path, space: str, said: str) -> None:
    path = tmp_path / "s.tif"
    (offset, count), *_ = write(path, compressionargs={"level": 80, "outcolorspace": space})
    with tifffile.TiffFile(path) as tiff:
        tables = tiff.pages[0].jpegtables
    data = path.read_bytes()[offset : offset + count]
    assert find_frame(data) is not None
    assert find_frame(b"\xff\xd8" + bytes(50)) is None
    decoder = TileDecoder(imagecodecs, simplejpeg, tables=tables, colour_space=space)
    whole = decoder.decode(data)
    plain = imagecodecs.jpeg8_decode(data, tables=tables, colorspace=space, outcolorspace="RGB")
    assert np.array_equal(whole, plain)
    for kept in (0.3, 0.9, 0.99):
        cut = data[: int(count * kept)].rstrip(b"\xff") + b"\xff\xd9"
        assert re.search(said, decoder.decode(cut))
    assert "does not decode" in decoder.decode(b"\xff\xd8" + bytes(50))


def test_colours_are_those_of_the_slide_whatever_the_tile_states(tmp_path: Path) -> None:
    """Identifiers of components by which libjpeg would take a tile for RGB."""
    path = tmp_path / "s.tif"
    (offset, count), *_ = write(path, compressionargs=SPACE)
    with tifffile.TiffFile(path) as tiff:
        tables = tiff.pages[0].jpegtables
    data = path.read_bytes()[offset : offset + count]
    plain = imagecodecs.jpeg8_decode(data, tables=tables, colorspace="YCBCR", outcolorspace="RGB")
    frame, scan = find_frame(data), data.index(START_OF_SCAN)
    named = bytearray(data)
    for number, letter in enumerate(b"RGB"):
        named[frame.height_at + 5 + 3 * number] = letter
        named[scan + 5 + 2 * number] = letter
    assert np.array_equal(
        TileDecoder(imagecodecs, simplejpeg, tables=tables, colour_space="YCBCR").decode(bytes(named)), plain
    )
