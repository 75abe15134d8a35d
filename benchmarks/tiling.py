"""Tiling and normalising images: the published way against `TiledImageProcessor`, in images per second of one thread.

Run from the repository root: ``python -m benchmarks.tiling [--rounds N]``. The published way is PA-LLaVA's tiling with
Transformers' CLIP image processor called for each tile. PA-LLaVA's is the one on Pillow and NumPy, which Transformers 5
calls ``CLIPImageProcessorPil``; the one on torchvision is shown beside it where Transformers has it.

All start from decoded pictures in memory, so that reading files is no part of it, and take turns with the same picture.
Each round's is a pixel wider, so that nothing can be remembered from the one before. Times are medians of the thread's
processor time, on which a busy machine tells less than on the clock; it still does, by emptying the caches, and more on
the faster ways: ``of shortest`` is the ratio of the shortest times.

What nobody can do without: reading the w x h x 3 bytes of a picture, for the thumbnail and for the tiles, and writing
T x 3 x 224 x 224 values as bytes and as floats. ``copy`` copies as many megabytes, a bound far off: of each value that
bicubic resizing makes, it reads at least 4 x 4.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from pathplugins.data.anyres import GRIDS
from pathplugins.models.custom_llava.image_processing import TiledImageProcessor

TILE = 224
SIZES = ((1024, 768), (1500, 1000), (500, 500))  # (w, h) of the first round
BASE = "per tile"
BARS = {"same pixels": 2.0, "fast_resize": 5.0}

Way = Callable[[Image.Image], torch.Tensor]
"""RGB image -> float32 [T, 3, S, S]."""


def texture(size: tuple[int, int], seed: int) -> Image.Image:
    """Stroma, nuclei and grain: smooth patches, edges and noise, as in a stained slide."""
    w, h = size
    rng = np.random.default_rng(seed)
    stroma = Image.fromarray(rng.integers(0, 256, (h // 40 + 1, w // 40 + 1, 3), np.uint8)).resize(size)
    nuclei = Image.fromarray(rng.integers(0, 2, (h // 7 + 1, w // 7 + 1), np.uint8) * 90).resize(size)
    picture = np.asarray(stroma) * 0.6 + np.asarray(nuclei)[..., None] + rng.normal(0, 8, (h, w, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def published(image: Image.Image, processor: Any) -> torch.Tensor:
    """Choose a grid, resize, pad, cut, and process each tile."""
    w, h = image.size

    def worth(grid: tuple[int, int]) -> tuple[int, int]:
        scale = min(grid[0] * TILE / w, grid[1] * TILE / h)
        effective = min(int(w * scale) * int(h * scale), w * h)
        return effective, effective - grid[0] * grid[1] * TILE**2

    columns, rows = max(GRIDS, key=worth)
    full_w, full_h = columns * TILE, rows * TILE
    if full_w / w < full_h / h:
        fitted = full_w, min(int(np.ceil(h * (full_w / w))), full_h)
    else:
        fitted = min(int(np.ceil(w * (full_h / h))), full_w), full_h
    canvas = Image.new("RGB", (full_w, full_h), (0, 0, 0))
    canvas.paste(image.resize(fitted), ((full_w - fitted[0]) // 2, (full_h - fitted[1]) // 2))
    tiles = [image.resize((TILE, TILE))]
    for y in range(0, full_h, TILE):
        tiles += [canvas.crop((x, y, x + TILE, y + TILE)) for x in range(0, full_w, TILE)]
    return torch.stack([processor(tile, return_tensors="pt")["pixel_values"][0] for tile in tiles])


def ways() -> dict[str, Way]:
    """Name -> way; the first is what the others are measured by."""
    classes = {BASE: getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)}
    if classes[BASE] is not transformers.CLIPImageProcessor:
        classes["torchvision"] = transformers.CLIPImageProcessor
    size = {"size": {"shortest_edge": TILE}, "crop_size": {"height": TILE, "width": TILE}}
    found: dict[str, Way] = {name: partial(published, processor=of(**size)) for name, of in classes.items()}
    for name, fast in zip(BARS, (False, True), strict=True):
        processor = TiledImageProcessor(fast_resize=fast)
        found[name] = lambda image, processor=processor: processor([image])["pixel_values"]
    return found


def seconds(call: Callable[[], object]) -> float:
    """Processor time of this thread."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def copying(image: Image.Image, values: int) -> Callable[[], object]:
    """Copy half the bytes that must be touched, which reads and writes each of them."""
    touched = 2 * image.width * image.height * 3 + values * (1 + 4)
    source, target = np.ones(touched // 2, np.uint8), np.ones(touched // 2, np.uint8)
    return partial(np.copyto, target, source)


def measure(
    known: dict[str, Way], size: tuple[int, int], seed: int, rounds: int
) -> tuple[int, dict[str, list[float]], dict[str, float]]:
    """Tiles of a picture, seconds of each way in each round, and its largest difference from the published values."""
    whole = texture((size[0] + rounds, size[1]), seed)
    spent: dict[str, list[float]] = {name: [] for name in (*known, "copy")}
    off = dict.fromkeys(known, 0.0)
    for number in range(rounds + 1):
        image = whole.crop((0, 0, size[0] + number, size[1]))
        wanted = known[BASE](image)
        for name, way in known.items():
            spent[name].append(seconds(partial(way, image)))
            off[name] = max(off[name], float((way(image) - wanted).abs().max()))
        spent["copy"].append(seconds(copying(image, wanted.numel())))
    return len(wanted), {name: taken[1:] for name, taken in spent.items()}, off  # the first round warms up


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    known = ways()
    print(
        f"{'picture':>10} {'tiles':>5} {'way':>12} {'images/s':>9} {'ratio':>6} {'of shortest':>11} {'difference':>10}"
    )
    worst = dict.fromkeys(BARS, float("inf"))
    for seed, size in enumerate(SIZES):
        tiles, spent, off = measure(known, size, seed, rounds)
        for name, taken in spent.items():
            ratio, shortest = (of(spent[BASE]) / of(taken) for of in (median, min))
            difference = f"{off[name]:>10.1e}" if name in off else ""
            picture = f"{size[0]:>5}x{size[1]:<4} {tiles:>5}"
            print(f"{picture} {name:>12} {1 / median(taken):>9.1f} {ratio:>6.2f} {shortest:>11.2f} {difference}")
            if name in BARS:
                worst[name] = min(worst[name], ratio)
    print(
        f"1 of 255 is a difference of {' '.join(f'{1 / (255 * std):.1e}' for std in TiledImageProcessor().image_std)}"
    )
    for name, bar in BARS.items():
        print(f"{name}: at least {worst[name]:.2f} times; bar {bar}: {'kept' if worst[name] >= bar else 'MISSED'}")
    return int(any(worst[name] < bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
