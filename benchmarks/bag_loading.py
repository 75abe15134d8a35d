"""Bags: k random rows of N through `read_bag` against reading all with h5py and indexing.

Run from the repository root: ``python -m benchmarks.bag_loading [--rows N --width D --take K --repeats R]``. Files lie
in a temporary folder and in the page cache; features are random float32, which gzip makes 7 % smaller. Both ways open
the file and take positions too, and take turns on the wall clock, for gzip is inflated by two threads.

Layouts: *contiguous*; *one row*: chunks of one row, as TRIDENT writes; *CLAM*: the same, resizable and appended batch
by batch; *gzip*: one-row chunks compressed, as h5repack makes of either; *gzip, wide*: the chunks h5py chooses by
itself, of which every one holds rows that are asked for, so that no way can do with less than inflating the whole file:
no bar; *ours*: `write_bag`, float16 and float32. *blocks*: contiguous with ``sample_rows(..., block=64)``.

*bound* copies as many bytes as the rows kept have. *memory* is the peak of `read_bag` in a process of its own over
those bytes, the rows themselves included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from benchmarks.measure import fastest, in_fresh_process, peak_bytes, verdict
from pathplugins.data.bags import BagAttributes, read_bag, sample_rows, write_bag

BARS = {"contiguous": 3.0, "one row": 15.0, "CLAM": 4.0, "gzip": 4.0, "blocks": 10.0}
"""Layout -> how many times slower than ours reading all must be."""
MEMORY_BAR, BLOCK, BATCH, SIDE_PX0 = 1.2, 64, 512, 256
TRIDENT = {
    **{"patch_size": SIDE_PX0, "patch_size_level0": SIDE_PX0, "level0_magnification": 20, "target_magnification": 20},
    **{"overlap": 0, "name": "slide", "savetodir": "."},
}
"""What TRIDENT records with positions; CLAM's features record nothing."""
OURS = {"ours": "float16", "ours, float32": "float32"}
FILES = ("contiguous", "one row", "CLAM", "gzip", "gzip, wide", *OURS)


def write(path: Path, layout: str, values: np.ndarray) -> None:
    """Write a bag of ``values`` ``[N, D]``."""
    n, d = values.shape
    columns = round(n**0.5)
    coords_yx = np.stack([np.arange(n) // columns, np.arange(n) % columns], axis=1) * SIDE_PX0
    if layout in OURS:
        size = {"level0_width": columns * SIDE_PX0, "level0_height": (n // columns + 1) * SIDE_PX0}
        sides = {"patch_size": SIDE_PX0, "patch_size_level0": SIDE_PX0, "mpp": 0.5, "level0_mpp": 0.5}
        attributes = BagAttributes(slide_id=path.stem, encoder="random", **sides, **size)
        batches = (values[start : start + BATCH] for start in range(0, n, BATCH))
        write_bag(path, batches, coords_yx, attributes, dtype=OURS[layout])
        return
    options: dict[str, dict[str, Any]] = {
        "one row": {"chunks": (1, d)},
        "gzip": {"chunks": (1, d), "compression": "gzip"},
        "gzip, wide": {"compression": "gzip"},
    }
    with h5py.File(path, "w") as file:
        file["coords"] = coords_yx[:, ::-1]
        if layout != "CLAM":
            file["coords"].attrs.update(TRIDENT)
            file.create_dataset("features", data=values, **options.get(layout, {}))
            return
        features = file.create_dataset("features", (0, d), values.dtype, maxshape=(None, d), chunks=(1, d))
        for start in range(0, n, BATCH):
            batch = values[start : start + BATCH]
            features.resize(start + len(batch), axis=0)
            features[start:] = batch


def naive(path: Path, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read all, keep some."""
    with h5py.File(path, "r") as file:
        coords = file["coords_yx"] if "coords_yx" in file else file["coords"]
        return file["features"][:][rows], coords[:][rows]


def ours(path: Path, rows: np.ndarray) -> np.ndarray:
    """Read the rows alone."""
    return read_bag(path, rows, coords_mpp=0.5).features


def peak(path: Path, small: Path, rows: int, take: int) -> float:
    """Peak of our way above what this process had, over the bytes of the rows kept; meant for a fresh process."""
    wanted = sample_rows(rows, take, 0)
    ours(small, sample_rows(64, 20, 0))
    kept: list[np.ndarray] = []
    extra = peak_bytes(lambda: kept.append(ours(path, wanted)))
    return extra / kept[0].nbytes


def compare(folder: Path, options: argparse.Namespace) -> list[tuple[str, bool]]:
    """Print the table; the verdicts."""
    n, k = options.rows, options.take
    values = np.random.default_rng(0).standard_normal((n, options.width), dtype=np.float32)
    for layout in FILES:
        write(folder / f"{layout}.h5", layout, values)
        write(folder / f"{layout}.small.h5", layout, values[:64])
    del values
    sys.stdout.write(f"{k:,} of {n:,} rows of {options.width:,}; milliseconds, fastest of {options.repeats}\n")
    heads = ("naive", "ours", "ratio", "bar", "us/row", "bound", "memory")
    sys.stdout.write(f"{'':>14}" + "".join(f"{head:>9}" for head in heads) + "\n")
    verdicts = []
    for layout in (*FILES, "blocks"):
        path = folder / f"{'contiguous' if layout == 'blocks' else layout}.h5"
        rows = sample_rows(n, k, 0, block=BLOCK if layout == "blocks" else 1)
        kept = ours(path, rows)
        if not np.array_equal(kept, naive(path, rows)[0]):
            raise SystemExit(f"{layout}: other values than h5py's")
        copy = partial(np.copyto, np.empty_like(kept), kept)
        slow, fast, bound = fastest([partial(naive, path, rows), partial(ours, path, rows), copy], options.repeats)
        words = ("--peak", str(path), str(path.with_suffix(".small.h5")), "--rows", str(n), "--take", str(k))
        memory = in_fresh_process("benchmarks.bag_loading", *words)[0] if layout in FILES else None
        bar = BARS.get(layout)
        cells = [slow * 1e3, fast * 1e3, slow / fast, bar, fast / k * 1e6, bound * 1e3, memory]
        sys.stdout.write(f"{layout:>14}" + "".join(f"{'' if c is None else f'{c:.2f}':>9}" for c in cells) + "\n")
        sys.stdout.flush()
        if layout in FILES:
            verdicts.append(verdict(f"memory / rows kept, {layout}", memory, MEMORY_BAR, at_most=True))
        if bar is not None:
            verdicts.append(verdict(f"naive / ours, {layout}", slow / fast, bar, at_most=False))
    contenders = [layout for layout in FILES if not layout.startswith("gzip")]
    rows = sample_rows(n, k, 0)
    spent = fastest([partial(ours, folder / f"{layout}.h5", rows) for layout in contenders], 5 * options.repeats)
    taken = dict(zip(contenders, spent, strict=True))
    others = min(seconds for layout, seconds in taken.items() if layout not in OURS)
    turns = ", ".join(f"{layout} {seconds * 1e3:.2f}" for layout, seconds in taken.items())
    sys.stdout.write(f"ours, layouts taking turns: {turns} ms\n")
    return [*verdicts, verdict("seconds a row, best other / our layout", others / taken["ours"], 1.0, at_most=False)]


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--take", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak is not None:
        sys.stdout.write(f"{peak(*options.peak, options.rows, options.take)}\n")
        return 0
    torch.set_num_threads(2)  # no torch here; it makes `fastest` read the wall clock
    with tempfile.TemporaryDirectory() as folder:
        verdicts = compare(Path(folder), options)
    sys.stdout.writelines(line for line, _ in verdicts)
    return int(not all(kept for _, kept in verdicts))


if __name__ == "__main__":
    sys.exit(main())
