"""Damaged JPEG tiles: the fast reader refuses what OpenSlide refuses, bit for bit, and reads the rest as it does."""

from __future__ import annotations

import contextlib
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
    ("colours", "as_watchful"),
    [
        ({"compressionargs": SPACE, "subsampling": (1, 1)}, True),
        ({"compressionargs": SPACE, "subsampling": (2, 1)}, True),
        ({"compressionargs": {"level": 80, "outcolorspace": "RGB"}}, True),
        ({"compressionargs": SPACE, "subsampling": (2, 2)}, False),
    ],
    ids=["444", "422", "rgb", "420"],
)
def test_flipped_bytes_are_noticed_as_by_openslide(tmp_path: Path, colours: dict[str, Any], as_watchful: bool) -> None:
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
    if as_watchful:
        assert refused[1, 0] == 0, "what OpenSlide refuses is refused"
    else:  # data that end within the last block: docs/reliability.md has the figures
        assert refused[1, 1] >= refused[1].sum() // 4, "those that lack a whole block are refused"
    assert refused[0, 1] == 0, "and nothing that OpenSlide reads"


def test_cut_data_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    (offset, count), *_ = write(path, compressionargs=SPACE, subsampling=(2, 1))
    with tifffile.TiffFile(path) as tiff:
        tables = tiff.pages[0].jpegtables
    data = path.read_bytes()[offset : offset + count]
    assert find_frame(data) is not None
    assert find_frame(b"\xff\xd8" + bytes(50)) is None
    decoder = TileDecoder(imagecodecs, tables=tables, colour_space="YCBCR")
    whole = decoder.decode(data)
    plain = imagecodecs.jpeg8_decode(data, tables=tables, colorspace="YCBCR", outcolorspace="RGB")
    assert np.array_equal(whole, plain)
    for kept in (0.3, 0.9, 0.99):
        cut = data[: int(count * kept)].rstrip(b"\xff") + b"\xff\xd9"
        assert "ends grey" in decoder.decode(cut)
    assert "does not decode" in decoder.decode(b"\xff\xd8" + bytes(50))
