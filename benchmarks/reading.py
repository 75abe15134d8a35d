"""Tissue patches of a slide per second: a loop over OpenSlide against `Slide`, through OpenSlide and tile by tile.

Run from the repository root: ``python -m benchmarks.reading [--side PX] [--patches N] [--rounds N] [--slide FILE]``.

The slide is the demo generator's: a painted block of 5,000 pixels a side, repeated to 20,000 (painting all of it at
once needs more memory than most machines have), written as an Aperio pyramid of 4:4:4 JPEG tiles of 256 px. Patches of
256 px at level 0 lie where `pathdata patch` finds tissue, in its order; a turn reads a run of them from the middle.

*Loop* is what scripts do once they group patches by slide: one OpenSlide handle, ``read_region(...).convert("RGB")`` to
an array, one patch after another. *OpenSlide* and *tiles* read as `pathdata features` does, consecutive batches of 64
in two threads, through ``Slide(reader="openslide")`` and ``Slide()``. *Decode* is the bound of the latter: every tile
the patches touch, read and decoded once in two threads and thrown away. Each turn opens the slide anew; they take
turns, and the shortest turn of each counts. All that is compared gives the same pixels, which is checked first.

Seconds are the wall clock's, for what is measured is how two cores are used: on a machine with other work a ratio comes
out too low. *cpu* is processor time, which other work disturbs less: cpu of the loop over half the cpu of a way is the
ratio that two free cores would give. Bars: 1.7 times the loop through OpenSlide, 2.8 times tile by tile, on the made
slide. A real slide, where there is one, is shown without bars.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile

from benchmarks.measure import MIB, verdict
from pathplugins.data_tools.slides.demo import KINDS, REDUCTIONS, paint
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.slides.svs_writer import write_svs
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.spec import TilingSpec

PATCH_PX, BATCH, THREADS, MPP = 256, 64, 2, 0.5
BLOCK_PX, CHECKED = 5000, 200
BARS = {"openslide": 1.7, "tiles": 2.8}
REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "CMU-1-Small-Region.svs"
COLOUR_SPACES = {2: "RGB", 6: "YCBCR"}

Patches = np.ndarray  # int64 [N, 2], columns (x, y), level-0 pixels


def make_slide(path: Path, side: int) -> None:
    """Write a square slide of ``side`` pixels from one painted block."""
    block = paint((min(BLOCK_PX, side),) * 2, seed=0, kind=KINDS[0], mpp=MPP)
    times = -(-side // len(block))
    base = np.tile(block, (times, times, 1))[:side, :side]
    levels = [base, *(np.ascontiguousarray(base[::r, ::r]) for r in REDUCTIONS)]
    write_svs(path, levels, mpp=MPP, magnification=20)


def tissue_patches(path: Path, folder: Path) -> Patches:
    """Where `pathdata patch` puts patches of level-0 pixels."""
    with Slide(path) as slide:
        mpp = float(slide.properties["openslide.mpp-x"])
    patch_slide(path, folder, TilingSpec(patch_size=PATCH_PX, mpp=mpp))
    return read_coords(folder / "coords" / f"{path.stem}.h5").coords_xy


def loop(path: Path, patches: Patches) -> Iterator[np.ndarray]:
    """One handle, one patch after another."""
    with openslide.OpenSlide(path) as slide:
        for x, y in patches.tolist():
            yield np.asarray(slide.read_region((x, y), 0, (PATCH_PX, PATCH_PX)).convert("RGB"))


def ours(path: Path, patches: Patches, reader: str) -> Iterator[np.ndarray]:
    """Batches in two threads, at most one more than threads in hand, as the feature extractor reads."""
    with Slide(path, reader=reader) as slide:
        size = (PATCH_PX, PATCH_PX)

        def read(some: Patches) -> list[np.ndarray]:
            return [slide.read(x, y, size, size) for x, y in some]

        batch = min(BATCH, max(1, len(patches) // (8 * THREADS)))  # a small slide has work for all threads too
        pending: deque[Future[list[np.ndarray]]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(patches), batch):
                pending.append(pool.submit(read, patches[start : start + batch]))
                if len(pending) > THREADS:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()


def decode(path: Path, patches: Patches) -> Iterator[np.ndarray]:
    """Every tile touched, once; nothing is kept."""
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page = tiff.pages[0]
        offsets, counts, tables = page.dataoffsets, page.databytecounts, page.jpegtables
        tile_px, colours = (page.tilewidth, page.tilelength), COLOUR_SPACES[int(page.photometric)]
        across, first, last = -(-page.imagewidth // tile_px[0]), patches // tile_px, (patches + PATCH_PX - 1) // tile_px
        touched = {
            row * across + column
            for (x0, y0), (x1, y1) in zip(first.tolist(), last.tolist(), strict=True)
            for row in range(y0, y1 + 1)
            for column in range(x0, x1 + 1)
        }

        def some(indices: list[int]) -> None:
            for i in indices:
                data = os.pread(file.fileno(), counts[i], offsets[i])
                imagecodecs.jpeg8_decode(data, tables=tables, colorspace=colours, outcolorspace="RGB")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(some, (sorted(touched)[k::THREADS] for k in range(THREADS))))
    yield from ()


def spent(way: Callable[[], Iterator[np.ndarray]]) -> tuple[float, float]:
    """(wall, processor) seconds to go through all patches."""
    wall, processor = time.perf_counter(), time.process_time()
    for _ in way():
        pass
    return time.perf_counter() - wall, time.process_time() - processor


def compare(path: Path, patches: Patches, rounds: int) -> dict[str, float]:
    """Print the table of one slide; how many times as fast as the loop each way is."""
    ways = {
        "loop": partial(loop, path),
        "openslide": partial(ours, path, reader="openslide"),
        "tiles": partial(ours, path, reader="auto"),
        "decode": partial(decode, path),
    }
    for name in BARS:
        for wanted, got in zip(loop(path, patches[:CHECKED]), ways[name](patches[:CHECKED]), strict=True):
            if not np.array_equal(wanted, got):
                raise SystemExit(f"{path}: {name} gives other pixels than the loop")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(spent(partial(way, patches)))
    walls, processors = ({name: min(pair[i] for pair in pairs) for name, pairs in times.items()} for i in (0, 1))
    size = path.stat().st_size / MIB
    sys.stdout.write(f"{path.name}, {size:.0f} MiB: {len(patches):,} patches, {rounds} rounds\n")
    sys.stdout.write(f"{'way':>10} {'patches/s':>10} {'/ loop':>7} {'cpu ms/patch':>13} {'2 free cores':>13}\n")
    for name, wall in walls.items():
        rate, ratio, processor = len(patches) / wall, walls["loop"] / wall, processors[name]
        free = processors["loop"] / processor * (1 if name == "loop" else THREADS)
        numbers = f"{rate:>10,.0f} {ratio:>7.2f} {processor / len(patches) * 1e3:>13.2f} {free:>13.2f}"
        sys.stdout.write(f"{name:>10} {numbers}\n")
    sys.stdout.flush()
    return {name: walls["loop"] / wall for name, wall in walls.items()}


def main() -> int:
    """Print a table for each slide; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=20_000, help="of the made slide, pixels (default %(default)s)")
    parser.add_argument("--patches", type=int, default=1024, help="read in one turn (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--slide", type=Path, default=REAL_SLIDE, help="a real slide, shown if it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.svs"
        make_slide(made, options.side)
        patches = tissue_patches(made, Path(folder))
        start = max(0, (len(patches) - options.patches) // 2)
        ratios = compare(made, patches[start : start + options.patches], options.rounds)
        if options.slide.is_file():
            compare(options.slide, tissue_patches(options.slide, Path(folder)), options.rounds)
    verdicts = [verdict(f"{name} / loop", ratios[name], bar, at_most=False) for name, bar in BARS.items()]
    sys.stdout.writelines(line for line, _ in verdicts)
    return int(not all(kept for _, kept in verdicts))


if __name__ == "__main__":
    sys.exit(main())
