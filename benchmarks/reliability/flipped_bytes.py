"""One changed byte inside a JPEG tile: how often OpenSlide notices it, and how often the reader of tiles does.

Run from the repository root: ``python -m benchmarks.reliability.flipped_bytes [--flips N] [--seed N]``.

A small painted slide is written once for each way in which scanners store colours. Then one byte behind the head of a
random tile is set to another value, and the tile is read through OpenSlide and through ``JpegTiles``. OpenSlide refuses
what libjpeg warns of: a code that is none, and data that end before the last block. ``JpegTiles`` hands a tile that it
refuses to OpenSlide. *Changed unseen* are tiles that neither refuses, with other pixels than before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import tifffile

from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.slides.jpeg_tiles import JpegTiles, OpenSlideNeededError

ACROSS, DOWN, SIDE_PX = 4, 3, 256
START_OF_SCAN, SCAN_HEAD = b"\xff\xda", 14
SPACE = {"level": 80, "outcolorspace": "YCBCR"}
COLOURS: dict[str, dict[str, Any]] = {
    "RGB": {"compressionargs": {"level": 80, "outcolorspace": "RGB"}},
    "YCbCr 4:4:4": {"compressionargs": SPACE, "subsampling": (1, 1)},
    "YCbCr 4:2:2": {"compressionargs": SPACE, "subsampling": (2, 1)},
    "YCbCr 4:2:0": {"compressionargs": SPACE, "subsampling": (2, 2)},
}


def write(path: Path, **colours: Any) -> list[tuple[int, int]]:
    """Write a slide; returns (offset, count) of its tiles."""
    picture = paint((ACROSS * SIDE_PX, DOWN * SIDE_PX), seed=5, kind=KINDS[1], mpp=0.5)
    tifffile.imwrite(
        path, picture, tile=(SIDE_PX, SIDE_PX), metadata=None, compression="jpeg", photometric="rgb", **colours
    )
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def read(path: Path, index: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return a tile as OpenSlide and as the reader of tiles read it, uint8 ``[H, W, 3]``; None where it is refused."""
    corner, size = (index % ACROSS * SIDE_PX, index // ACROSS * SIDE_PX), (SIDE_PX, SIDE_PX)
    with openslide.OpenSlide(path) as handle:
        tiles = JpegTiles(path, handle)
        try:
            fast = tiles.region(0, *corner, size)
        except OpenSlideNeededError:
            fast = None
        finally:
            tiles.close()
        try:
            slow = np.asarray(handle.read_region(corner, 0, size).convert("RGB"))
        except openslide.OpenSlideError:
            slow = None
    return slow, fast


def campaign(folder: Path, colours: dict[str, Any], flips: int, seed: int) -> Counter[str]:
    """Change one byte at a time; how often each outcome came."""
    rng = np.random.default_rng(seed)
    path, hurt_path = folder / "whole.tif", folder / "hurt.tif"
    places = write(path, **colours)
    whole = path.read_bytes()
    before = [read(path, index)[0] for index in range(len(places))]
    found: Counter[str] = Counter()
    for _ in range(flips):
        index = int(rng.integers(len(places)))
        offset, count = places[index]
        first = whole.index(START_OF_SCAN, offset) + SCAN_HEAD
        hurt = bytearray(whole)
        hurt[int(rng.integers(first, offset + count - 2))] ^= int(rng.integers(1, 256))
        hurt_path.write_bytes(hurt)
        slow, fast = read(hurt_path, index)
        found["openslide"] += slow is None
        found["tiles"] += fast is None
        found["openslide alone"] += slow is None and fast is not None
        found["other pixels"] += slow is not None and fast is not None and not np.array_equal(slow, fast)
        found["changed unseen"] += slow is not None and fast is not None and not np.array_equal(fast, before[index])
    return found


def main() -> int:
    """Print a line for each way to store colours; 1 where both read a tile and get other pixels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=2000, help="bytes changed for each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    columns = ("openslide", "tiles", "openslide alone", "other pixels", "changed unseen")
    sys.stdout.write(f"{'colours':<12}" + "".join(f"{name:>17}" for name in columns) + f"   of {options.flips:,}\n")
    wrong = 0
    for name, colours in COLOURS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = campaign(Path(folder), colours, options.flips, options.seed)
        sys.stdout.write(f"{name:<12}" + "".join(f"{found[column]:>17,}" for column in columns) + "\n")
        sys.stdout.flush()
        wrong += found["other pixels"]
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
