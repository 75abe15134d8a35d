"""Drawn tissue images with captions, to try a training run without data.

The path is a folder; missing images are drawn into it. A model trained on them learns to tell four textures apart and
nothing else.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_bytes_whole
from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.rows import Draft
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

KINDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], int, int]] = {
    "normal tissue": ((236, 190, 214), (150, 110, 170), 40, 3),
    "tumour": ((214, 160, 205), (84, 50, 130), 160, 6),
    "inflammation": ((244, 222, 232), (60, 60, 150), 320, 2),
    "necrosis": ((240, 150, 150), (200, 110, 120), 25, 9),
}
"""Kind of tissue -> stroma colour, nucleus colour (RGB), nuclei per 10,000 pixels / 10, radius in pixels."""
QUESTION = "What does this image show?"
SIZES = ((160, 90), (96, 96), (70, 150), (201, 133))  # (w, h) pixels


def caption(kind: str) -> str:
    """Return the caption of a kind of tissue."""
    return f"The image shows {kind}."


@reader
def read_drawn(path: str | Path, *, media_dir: str | Path | None = None, images: int = 24, seed: int = 0) -> Stream:
    """Draw missing images and read the records.

    Args:
        path: Folder of the images.
        media_dir: Ignored; every reader has it.
        images: Number of images; the kinds alternate.
        seed: Seed of the drawings; part of their names.
    """
    del media_dir
    folder = Path(path).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise PathPluginsError(f"{path} is a file; give the format `drawn` a folder to draw images into")
    return Stream(path=folder, drafts=lambda: _drafts(folder, images, seed))


def _drafts(folder: Path, images: int, seed: int) -> Iterator[Draft]:
    for number in range(images):
        kind = list(KINDS)[number % len(KINDS)]
        name = f"{kind.replace(' ', '_')}_{seed}_{number}"
        file = folder / f"{name}.png"
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            picture = io.BytesIO()
            Image.fromarray(_draw(kind, np.random.default_rng([seed, number]), SIZES[number % 7 % 4])).save(
                picture, "PNG"
            )
            write_bytes_whole(file, picture.getvalue())
        turns = (Turn("user", f"{IMAGE_PLACEHOLDER}\n{QUESTION}"), Turn("assistant", caption(kind)))
        meta = {"kind": kind}
        yield Record(id=name, conversations=turns, images=(str(file),), meta=meta, source=str(folder), row=number + 1)


def _draw(kind: str, random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw one image, uint8 [h, w, 3]."""
    stroma, nucleus, density, radius = KINDS[kind]
    width, height = size
    ys, xs = np.mgrid[:height, :width]
    canvas = np.array(stroma) + random.normal(0, 6, (height, width, 1))
    for x, y in random.uniform((0, 0), (width, height), (density * width * height // 100_000 + 3, 2)):
        inside = (xs - x) ** 2 + (ys - y) ** 2 <= (radius * random.uniform(0.7, 1.3)) ** 2
        canvas[inside] = np.array(nucleus) + random.normal(0, 8, 3)
    return canvas.clip(0, 255).astype(np.uint8)
