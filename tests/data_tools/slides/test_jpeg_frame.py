"""Damaged JPEG tiles: the fast reader refuses what OpenSlide refuses, bit for bit, and reads the rest as it does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from benchmarks.reliability.flipped_bytes import COLOURS, SPACE, START_OF_SCAN, campaign, write
from pathplugins.data_tools.slides.jpeg_frame import TileDecoder, find_frame

imagecodecs = pytest.importorskip("imagecodecs")
simplejpeg = pytest.importorskip("simplejpeg")

FLIPS = 60


@pytest.mark.parametrize("colours", COLOURS)
def test_flipped_bytes_are_noticed_as_by_openslide(tmp_path: Path, colours: str) -> None:
    found = campaign(tmp_path, COLOURS[colours], FLIPS, seed=7)
    assert found["openslide"] > FLIPS // 10, "OpenSlide notices some"
    assert found["openslide alone"] == 0, "what OpenSlide refuses is refused"
    assert found["other pixels"] == 0, "what both read is the same"
    tiles_alone = found["tiles"] - found["openslide"]  # all of OpenSlide's are among them
    most = 0 if colours == "RGB" else FLIPS // 4
    assert tiles_alone <= most, "some that are damaged behind the last block; OpenSlide stops before"


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
