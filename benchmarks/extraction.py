"""Patches per second that `pathdata pathgen extract` cuts, against the published procedure, on two cores.

Run from the repository root: ``python -m benchmarks.extraction [--patches N] [--slides N] [--side PX] [--sample N]
[--rounds N]``. Under three minutes.

Slides are 20,000 pixels a side: the demo generator's tissue, a drawn block of 4,096 pixels, repeated, in another of its
eight orientations on each slide; levels 1, 4 and 16 of 4:4:4 JPEG tiles of 256 px, as Aperio's. Positions are drawn as
PathGen's lie: multiples of 32, more than half tissue, spread evenly over all slides, in an order that mixes slides.

*Published* is the step of PathGen's README for each row: open the slide, read 672 x 672 pixels of level 0, save what
comes (RGBA) as PNG with Pillow's defaults. It runs as two processes, which share the rows, so that it has both cores
too; on a sample of the rows, because a row takes a sixth of a second. Ours is the engine's pool of two processes, from
its first slide to its last, files, manifest parts and state included; starting the processes (said apart) is left out,
as it is for the published one. *Bound* is what no reader of whole tiles can do without: every tile that is touched
decoded once, every patch encoded as JPEG 95, in two processes.

They take turns, the fastest of each counts. On a machine with other work the rates are too low, and *cpu*, processor
time for a patch, is the better measure: the ratio that two free cores would give is that of the cpu times. Before, the
pixels of all ways are compared with OpenSlide's, and PNGs with the published ones. Bars: 14 times the published rate at
JPEG 95 through OpenSlide, 24 times tile by tile, 5 times at PNG level 1; at most a third of its bytes at JPEG 95 and a
sixth at 90.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import openslide
import tifffile
from PIL import Image

from benchmarks.measure import verdict
from pathplugins.data_tools.engine.pools import ProcessPool
from pathplugins.data_tools.pathgen.pairs.extract import COMMAND, PairJob, PairRecipe
from pathplugins.data_tools.pathgen.pairs.options import PairOptions
from pathplugins.data_tools.pathgen.pairs.plan import Plan, build_plan
from pathplugins.data_tools.pictures.files import encode_jpeg
from pathplugins.data_tools.records.report import BadRows
from pathplugins.data_tools.slides.demo import KINDS, REDUCTIONS, paint
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.geometry import tissue_fraction
from pathplugins.data_tools.tiling.one_slide import find_tissue
from pathplugins.data_tools.tiling.spec import TilingSpec

SIZE, GRID, TILE_PX, BLOCK_PX, MPP, CORES = 672, 32, 256, 4096, 0.5, 2
CHECKED = 40  #: patches whose pixels are compared
WAYS = {
    "openslide, JPEG 95": ("openslide", PairOptions(quality=95), 14.0, 1 / 3),
    "tiles, JPEG 95": ("auto", PairOptions(quality=95), 24.0, 1 / 3),
    "tiles, JPEG 90": ("auto", PairOptions(quality=90), None, 1 / 6),
    "tiles, PNG 1": ("auto", PairOptions(format="png", png_level=1), 5.0, None),
}
"""Reader, options, bar of the rate, bar of the bytes, both in units of the published procedure."""


class Row(NamedTuple):
    """One row of the caption file."""

    slide: Path
    x: int
    y: int


class Turn(NamedTuple):
    """What one way did."""

    rate: float
    """Patches per second of the wall clock."""
    cpu: float
    """Seconds of processor time for a patch, of the two processes."""
    patch_bytes: float = 0.0


def make_slide(path: Path, side: int, block: np.ndarray) -> None:
    """Write a block, its tiles encoded once, repeated to a square slide of three levels."""
    name = f"Aperio Image Library v12.0.0 pathplugins benchmark\n{side}x{side} [0,0 {side}x{side}] (256x256)"
    known = f" JPEG/RGB Q=90|AppMag = 20|MPP = {MPP}"
    with tifffile.TiffWriter(path) as tiff:
        for reduction in (1, *REDUCTIONS):
            wide = side // reduction
            tiff.write(
                _tiles(np.asarray(Image.fromarray(block).reduce(reduction)), -(-wide // TILE_PX)),
                shape=(wide, wide, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(1, 1),
                description=name + (f" -> {wide}x{wide}" if reduction > 1 else "") + known,
                metadata=None,
            )


def _tiles(block: np.ndarray, across: int) -> Iterator[bytes]:
    """Yield the encoded tiles of a slide of ``across`` x ``across`` tiles, row by row."""
    n = len(block) // TILE_PX
    grid = block.reshape(n, TILE_PX, n, TILE_PX, 3).swapaxes(1, 2)  # [n, n, tile, tile, 3]
    encoded = [
        [imagecodecs.jpeg8_encode(np.ascontiguousarray(t), level=90, subsampling="444") for t in r] for r in grid
    ]
    for row in range(across):
        for column in range(across):
            yield encoded[row % n][column % n]


def draw_rows(slides: list[Path], count: int) -> list[Row]:
    """Positions on tissue, as many on each slide."""
    draw, rows = random.Random(0), []
    for path in slides:
        with Slide(path) as slide:
            mask = find_tissue(slide, MPP, TilingSpec()).mask
            size = slide.size_px0
        cells = np.arange(0, size[0] - SIZE, GRID)
        places = np.stack([axis.ravel() for axis in np.meshgrid(cells, cells)], axis=1)  # [N, 2]
        places = places[tissue_fraction(mask, size, places, SIZE) > 0.5]
        rows += [Row(path, *place) for place in draw.sample(places.tolist(), count // len(slides))]
    draw.shuffle(rows)
    return rows


def published(folder: Path, row: Row) -> int:
    """One row by the published procedure; returns the bytes of its picture."""
    slide = openslide.OpenSlide(row.slide)
    path = folder / f"{row.slide.stem}_{row.x}_{row.y}.png"
    slide.read_region((row.x, row.y), 0, (SIZE, SIZE)).save(path)
    return path.stat().st_size


def bound(rows: list[Row]) -> int:
    """One slide's tiles, each decoded once, and as many encodings as there are patches."""
    with tifffile.TiffFile(rows[0].slide) as tiff, rows[0].slide.open("rb") as file:
        page = tiff.pages[0]
        across = -(-page.imagewidth // TILE_PX)
        touched = {
            row * across + column
            for _, x, y in rows
            for row in range(y // TILE_PX, (y + SIZE - 1) // TILE_PX + 1)
            for column in range(x // TILE_PX, (x + SIZE - 1) // TILE_PX + 1)
        }
        for index in sorted(touched):
            file.seek(page.dataoffsets[index])
            data = file.read(page.databytecounts[index])
            imagecodecs.jpeg8_decode(data, tables=page.jpegtables, colorspace="YCBCR", outcolorspace="RGB")
    with Slide(rows[0].slide) as slide:
        for _, x, y in rows:
            if x == rows[0].x:  # one picture's pixels for all
                pixels = slide.read(x, y, (SIZE, SIZE), (SIZE, SIZE))
            encode_jpeg(pixels, 95)
    return len(rows)


def check_pixels(rows: list[Row], folder: Path) -> None:
    """Stop unless both readers give OpenSlide's pixels, and PNGs hold those of the published ones."""
    for row in rows:
        with openslide.OpenSlide(row.slide) as slide:
            wanted = np.asarray(slide.read_region((row.x, row.y), 0, (SIZE, SIZE)).convert("RGB"))
        for reader in ("auto", "openslide"):
            with Slide(row.slide, reader) as slide:
                if slide.reader != ("tiles" if reader == "auto" else reader):
                    raise SystemExit(f"{row.slide}: is read by {slide.reader}: {slide.reader_note}")
                if not np.array_equal(wanted, slide.read(row.x, row.y, (SIZE, SIZE), (SIZE, SIZE))):
                    raise SystemExit(f"{row}: {reader} gives other pixels than OpenSlide")
        published(folder, row)
        with Image.open(folder / f"{row.slide.stem}_{row.x}_{row.y}.png") as theirs:
            png = WAYS["tiles, PNG 1"][1].encode(wanted)
            if not np.array_equal(np.asarray(theirs.convert("RGB")), np.asarray(Image.open(io.BytesIO(png)))):
                raise SystemExit(f"{row}: the PNG is another than the published one")


def extract(rows: list[Row], folder: Path, reader: str, options: PairOptions) -> tuple[Turn, float]:
    """All rows by the engine in two processes; also how long those took to start."""
    source, slides = folder / "rows.json", {row.slide.stem: row.slide for row in rows}
    texts = [{"wsi_id": row.slide.stem, "position": [str(row.x), str(row.y)], "caption": str(row)} for row in rows]
    source.write_text(json.dumps(texts))
    with BadRows(None) as bad_rows:
        build_plan(source, folder / "plan.sqlite", bad_rows, named=True, reserved=frozenset())
    with closing(Plan(folder / "plan.sqlite")) as plan:
        jobs = [PairJob(slide_id=s.wsi_id, slide=slides[s.wsi_id], planned=s) for s in plan.slides()]
    recipe = PairRecipe(command=COMMAND, work=folder, plan=folder / "plan.sqlite", options=options)
    recipe = replace(recipe, reader=reader)
    begin = time.perf_counter()
    with ProcessPool(recipe, CORES) as pool:
        start, cpu, waiting, running, done = time.perf_counter(), cpu_of_children(), deque(jobs), 0, 0
        while waiting or running:
            while pool.free and waiting:
                pool.submit(waiting.popleft())
                running += 1
            for job, result in pool.results(lambda *_: None, 1.0):
                if result.status != "done":
                    raise SystemExit(f"{job.slide_id}: {result.status}: {result.reason}")
                running, done = running - 1, done + result.patches
        seconds, cpu = time.perf_counter() - start, cpu_of_children() - cpu
    pictures = [*folder.glob(f"*/*.{options.suffix}")]
    if not done == len(pictures) == len(rows):
        raise SystemExit(f"{done} patches done, {len(pictures)} pictures of {len(rows)} rows")
    size = sum(path.stat().st_size for path in pictures) / done
    return Turn(done / seconds, cpu / done, size), start - begin


def cpu_of_children() -> float:
    """Seconds of processor time that the processes of a pool have had."""
    ticks = 0
    for child in multiprocessing.active_children():
        ticks += sum(map(int, Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def in_two(call: Callable[[Any], int], items: list[Any], patches: int) -> tuple[Turn, list[int]]:
    """``call`` on every item in two processes that are there already; and what it returned."""
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.map(time.sleep, [0.5] * CORES, 1)  # both have imported what they need
        start, cpu = time.perf_counter(), cpu_of_children()
        returned = pool.map(call, items, 1)
        seconds, cpu = time.perf_counter() - start, cpu_of_children() - cpu
    return Turn(patches / seconds, cpu / patches), returned


def compare(rows: list[Row], folder: Path, sample: int, rounds: int) -> tuple[dict[str, Turn], float]:
    """Return the best turn of every way, and the seconds that starting the processes took."""
    by_slide: dict[Path, list[Row]] = defaultdict(list)
    for row in rows:
        by_slide[row.slide].append(row)
    turns: dict[str, list[Turn]] = defaultdict(list)
    starts = []
    for _ in range(rounds):
        turn, sizes = in_two(partial(published, folder), rows[:sample], sample)
        turns["published"].append(turn._replace(patch_bytes=sum(sizes) / sample))
        for name, (reader, options, _, _) in WAYS.items():
            work = folder / "work"
            work.mkdir()
            turn, start = extract(rows, work, reader, options)
            turns[name].append(turn)
            starts.append(start)
            shutil.rmtree(work)
        turns["bound"].append(in_two(bound, [*by_slide.values()], len(rows))[0])
    best = {
        name: Turn(max(t.rate for t in found), min(t.cpu for t in found), found[0].patch_bytes)
        for name, found in turns.items()
    }
    return best, min(starts)


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=1000)
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--side", type=int, default=20_000, help="of a slide, pixels (default %(default)s)")
    parser.add_argument("--sample", type=int, default=60, help="rows of the published procedure (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slides = [folder / f"TCGA-AA-{n:04}-01Z-00-DX1.{n:08x}.svs" for n in range(args.slides)]
        block = paint((BLOCK_PX,) * 2, seed=0, kind=KINDS[0], mpp=MPP)
        for turn, path in enumerate(slides):
            make_slide(path, args.side, np.rot90(block if turn % 8 < 4 else block[::-1], turn))
        rows = draw_rows(slides, args.patches)
        check_pixels(rows[:CHECKED], folder)
        best, start = compare(rows, folder, args.sample, args.rounds)
    theirs = best["published"]
    print(f"{len(rows):,} patches of {len(slides)} slides, {CORES} processes; published: {args.sample} of the rows")
    heads = ("patches/s", "/ published", "cpu ms/patch", "/ published", "bytes/patch", "/ published")
    print(f"{'way':>20}" + "".join(f"{head:>13}" for head in heads))
    for way, (rate, cpu, size) in best.items():
        numbers = f"{rate:>13.1f}{rate / theirs.rate:>13.2f}{cpu * 1e3:>13.2f}{theirs.cpu / cpu:>13.2f}"
        print(f"{way:>20}{numbers}" + (f"{size:>13,.0f}{size / theirs.patch_bytes:>13.3f}" if size else ""))
    print(f"starting the two processes: {start:.1f} s, in no rate")
    kept = []
    for way, (_, _, speed, size) in WAYS.items():
        ours = best[way]
        for what, value, bar in (
            ("rate", ours.rate / theirs.rate, speed),
            ("bytes", ours.patch_bytes / theirs.patch_bytes, size),
        ):
            if bar is not None:
                line, good = verdict(f"{way}, {what} / published", value, round(bar, 3), at_most=what == "bytes")
                sys.stdout.write(line)
                kept.append(good)
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
