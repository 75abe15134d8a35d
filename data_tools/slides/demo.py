"""Demo slide: a made-up H&E section, so that every step can be tried without patient data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError

from .svs_writer import write_svs

GLASS_RGB = (244, 242, 245)
REDUCTIONS = (4, 16)  #: downsamples of the levels below the first
SMALLEST_SIDE_PX = 256


@dataclass(frozen=True, kw_only=True)
class TissueKind:
    """Look of one kind of made-up tissue; lengths in microns."""

    name: str
    nuclei_per_mm2: float
    radius_um: tuple[float, float]
    """Smallest and largest nucleus."""
    nucleus_rgb: tuple[int, int, int]
    stroma_rgb: tuple[int, int, int]
    lumens_per_mm2: float = 0.0


KINDS = (
    TissueKind(
        name="normal-like: sparse small nuclei, lumens",
        nuclei_per_mm2=1400, radius_um=(2.2, 3.4), nucleus_rgb=(112, 84, 160), stroma_rgb=(232, 172, 200),
        lumens_per_mm2=14,
    ),
    TissueKind(
        name="tumour-like: dense large dark nuclei",
        nuclei_per_mm2=5200, radius_um=(3.6, 6.2), nucleus_rgb=(66, 38, 112), stroma_rgb=(214, 150, 192),
    ),
    TissueKind(
        name="inflamed: crowded tiny round nuclei",
        nuclei_per_mm2=9000, radius_um=(1.9, 2.5), nucleus_rgb=(58, 50, 128), stroma_rgb=(226, 176, 208),
    ),
    TissueKind(
        name="necrosis-like: pale, few shrunken nuclei",
        nuclei_per_mm2=300, radius_um=(1.4, 2.4), nucleus_rgb=(92, 60, 120), stroma_rgb=(238, 190, 196),
    ),
)  # fmt: skip


def write_demo_slide(
    path: Path,
    size: tuple[int, int] = (3072, 2304),
    *,
    seed: int = 0,
    kind: int = 0,
    mpp: float = 0.5,
    magnification: float = 20,
) -> None:
    """Write an Aperio-style pyramid; the same arguments give the same pixels.

    Args:
        path: The SVS file.
        size: (w, h) of level 0.
        seed: Seed of the random tissue.
        kind: Index into ``KINDS``.
        mpp: Microns per pixel of level 0.
        magnification: Objective power to record.

    Raises:
        PathPluginsError: no such kind, or a size below 256 pixels.
    """
    if not 0 <= kind < len(KINDS):
        listed = "; ".join(f"{i} {k.name}" for i, k in enumerate(KINDS))
        raise PathPluginsError(f"--kind {kind} is not one of: {listed}")
    if min(size) < SMALLEST_SIDE_PX:
        raise PathPluginsError(f"--size {size[0]}x{size[1]} is too small: at least {SMALLEST_SIDE_PX} pixels a side")
    base = paint(size, seed=seed, kind=KINDS[kind], mpp=mpp)
    reduced = [_reduce(base, r) for r in REDUCTIONS if min(size) // r >= SMALLEST_SIDE_PX // 4]
    write_svs(path, [base, *reduced], mpp=mpp, magnification=magnification)


def _reduce(base: np.ndarray, factor: int) -> np.ndarray:
    """Return ``base`` shrunk by ``factor``; sizes are rounded down, as scanners do."""
    h, w = (side // factor * factor for side in base.shape[:2])
    return np.asarray(Image.fromarray(base[:h, :w]).reduce(factor))


def paint(size: tuple[int, int], *, seed: int, kind: TissueKind, mpp: float) -> np.ndarray:
    """Paint one level: uint8 ``[H, W, 3]`` of ``size`` (w, h)."""
    rng = np.random.default_rng(seed)
    w, h = size
    tissue = _pieces(rng, size)  # [H, W] in [0, 1], soft at the edge
    if kind.lumens_per_mm2:
        _stamp(tissue, rng, count=_count(kind.lumens_per_mm2, size, mpp), radius_px=(12 / mpp, 30 / mpp), paint=0.0)
    stroma = np.float32(kind.stroma_rgb)
    pale = stroma + 0.55 * (255 - stroma)
    picture = stroma + _fibres(rng, size, mpp)[..., None] * (pale - stroma)  # [H, W, 3]
    nuclei = np.zeros((h, w), np.float32)
    radius_px = kind.radius_um[0] / mpp, kind.radius_um[1] / mpp
    _stamp(nuclei, rng, count=_count(kind.nuclei_per_mm2, size, mpp), radius_px=radius_px, paint=1.0)
    chromatin = 1 + 0.12 * rng.standard_normal((h, w, 1), dtype=np.float32)
    picture += nuclei[..., None] * (np.float32(kind.nucleus_rgb) * chromatin - picture)
    picture = np.float32(GLASS_RGB) + tissue[..., None] * (picture - np.float32(GLASS_RGB))
    picture += 1.5 * rng.standard_normal((h, w, 1), dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _fibres(rng: np.random.Generator, size: tuple[int, int], mpp: float) -> np.ndarray:
    """Paint wavy bands: float32 ``[H, W]`` in [0, 1], 1 in the pale gaps between collagen fibres."""
    w, h = size
    along = np.arange(h, dtype=np.float32)[:, None] * mpp / 2  # radians: one band every 4 pi = 12.6 microns
    bend = 9 * _smooth_noise(rng, (7, 5), size) + 1.2 * _smooth_noise(rng, (w // 40 + 1, h // 40 + 1), size)
    strength = 0.5 + 0.2 * _smooth_noise(rng, (w // 90 + 1, h // 90 + 1), size)
    return np.clip(strength * (0.5 + 0.5 * np.sin(along + bend)), 0, 1)


def _count(per_mm2: float, size: tuple[int, int], mpp: float) -> int:
    """Return how many objects of a density a slide of this size holds."""
    return round(per_mm2 * size[0] * size[1] * (mpp / 1000) ** 2)


def _pieces(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Paint two pieces of tissue with ragged borders: float32 ``[H, W]``, 1 inside and 0 on glass."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    ragged = 0.16 * _smooth_noise(rng, (14, 11), size) + 0.04 * _smooth_noise(rng, (60, 45), size)
    field = np.full((h, w), -np.inf, np.float32)
    for centre_x, centre_y, radius_x, radius_y in ((0.34, 0.44, 0.25, 0.33), (0.76, 0.62, 0.15, 0.26)):
        dx, dy = (x / w - centre_x) / radius_x, (y / h - centre_y) / radius_y
        field = np.maximum(field, 1 - np.hypot(dx, dy) + ragged)
    return np.clip(field * 60, 0, 1)


def _smooth_noise(rng: np.random.Generator, coarse: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Draw noise on a coarse (w, h) grid and interpolate it: float32 ``[H, W]`` of about unit variance."""
    grid = rng.standard_normal((coarse[1], coarse[0]), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))


def _stamp(
    canvas: np.ndarray, rng: np.random.Generator, *, count: int, radius_px: tuple[float, float], paint: float
) -> None:
    """Paint ``count`` soft-edged ellipses of value ``paint`` at random places of the ``[H, W]`` canvas."""
    h, w = canvas.shape
    reach = int(radius_px[1]) + 2
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    for _ in range(count):
        x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
        radius, flat, angle = rng.uniform(*radius_px), rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
        along = offset[None] * np.cos(angle) + offset[:, None] * np.sin(angle)
        across = offset[:, None] * np.cos(angle) - offset[None] * np.sin(angle)
        cover = np.clip((1 - np.hypot(along / radius, across / (radius * flat))) * radius, 0, 1)
        top, left = max(0, y - reach), max(0, x - reach)
        part = canvas[top : y + reach + 1, left : x + reach + 1]
        cover = cover[top - y + reach :, left - x + reach :][: part.shape[0], : part.shape[1]]
        part += cover * (paint - part)
