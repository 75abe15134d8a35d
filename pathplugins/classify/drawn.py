"""Draw patch sets that can be learnt, in the trees of the published ones, for demonstrations and tests.

A class is the grain of its texture, a wavelength in pixels. Colours belong to the slide and say nothing of the class,
except in masks, where each class has its own.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FINEST_PX, COARSEST_PX = 5.0, 24.0  #: wavelengths of the first and the last class
MASK_CLASSES = 6  #: of SegPANDA200, 0 is background


def draw_ptcga200(
    root: Path,
    *,
    organs: Sequence[str] = ("brain", "kidney", "lung"),
    slides: int = 6,
    patches: int = 8,
    side: int = 96,
) -> Path:
    """Draw ``root/<organ>/<barcode>_<number>.jpg``, and return ``root``.

    Args:
        root: made where it does not exist.
        organs: folders of PTCGA200, each a class.
        slides: of each organ.
        patches: of each slide.
        side: of a patch, pixels.
    """
    for label, organ in enumerate(organs):
        for slide in range(slides):
            rng = np.random.default_rng([1, label, slide])
            name = f"TCGA-{label:02d}-{slide:04d}-01A-01-TS1"
            _slide(root / organ, rng, f"{name}_", patches, side, grains(len(organs))[label])
    return root


def draw_pcam200(root: Path, *, cases: Sequence[int] = (8, 3, 3), patches: int = 8, side: int = 96) -> Path:
    """Draw ``root/{train,val,test}/{normal,tumor}/<case>/<number>.jpg``, and return ``root``.

    Args:
        root: made where it does not exist.
        cases: of each class in train, val and test.
        patches: of each case.
        side: of a patch, pixels.
    """
    for number, (part, count) in enumerate(zip(("train", "val", "test"), cases, strict=True)):
        for label, kind in enumerate(("normal", "tumor")):
            for case in range(count):
                rng = np.random.default_rng([2, number, label, case])
                folder = root / part / kind / f"{part}_{kind}_{case:03d}"
                _slide(folder, rng, "", patches, side, grains(2)[label])
    return root


def draw_segpanda200(root: Path, *, cases: Sequence[int] = (6, 2, 2), patches: int = 6, side: int = 96) -> Path:
    """Draw ``root/{train,val,test}/<grade>/<case>/<number>.png`` with masks beside them, and return ``root``.

    Args:
        root: made where it does not exist.
        cases: of train, val and test.
        patches: of each case.
        side: of a patch, pixels.
    """
    for number, (part, count) in enumerate(zip(("train", "val", "test"), cases, strict=True)):
        for case in range(count):
            rng = np.random.default_rng([3, number, case])
            folder = root / part / str(case % 3) / f"{part}_{case:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            for patch in range(patches):
                mask = regions(rng, side, MASK_CLASSES)
                Image.fromarray(_painted(rng, mask)).save(folder / f"{patch}.png")
                Image.fromarray(np.stack([mask, 0 * mask, 0 * mask], -1)).save(folder / f"{patch}_mask.png")
    return root


def grains(classes: int) -> list[float]:
    """Return the wavelength of each class, pixels."""
    return list(np.geomspace(FINEST_PX, COARSEST_PX, classes))


def texture(rng: np.random.Generator, side: int, grain_px: float) -> np.ndarray:
    """Return noise of one wavelength, float ``[H, W]`` around 0."""
    along = np.fft.fftfreq(side)
    waves = np.hypot(along[:, None], along[None])  # cycles a pixel, [H, W]
    band = np.exp(-0.5 * ((waves * grain_px - 1) / 0.25) ** 2)
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * band).real
    return noise / noise.std()


def regions(rng: np.random.Generator, side: int, classes: int) -> np.ndarray:
    """Return a mask of smooth regions, uint8 ``[H, W]`` of class ids."""
    return np.argmax([texture(rng, side, 1.5 * side) for _ in range(classes)], axis=0).astype(np.uint8)


def _slide(folder: Path, rng: np.random.Generator, prefix: str, patches: int, side: int, grain_px: float) -> None:
    """Draw the patches of a slide, in its colours."""
    folder.mkdir(parents=True, exist_ok=True)
    dark, light = rng.uniform(40, 130, 3), rng.uniform(160, 240, 3)
    for patch in range(patches):
        share = 1 / (1 + np.exp(3 * texture(rng, side, grain_px)))[..., None]  # [H, W, 1]
        pixels = dark + share * (light - dark)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{prefix}{patch:02d}.jpg", quality=90)


def _painted(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Return a picture of a mask, uint8 ``[H, W, 3]``: each class its hue, background white."""
    hues = [colorsys.hsv_to_rgb(label / MASK_CLASSES, 0.8, 0.8) for label in range(MASK_CLASSES)]
    colours = 255 * np.array([(0.95, 0.95, 0.95), *hues[1:]])  # [K, 3]
    grain = 12 * texture(rng, len(mask), FINEST_PX)[..., None]
    return np.clip(colours[mask] + grain, 0, 255).astype(np.uint8)
