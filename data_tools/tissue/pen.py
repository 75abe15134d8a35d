"""Pen marks and black: recognise ink on the glass, and what was not scanned, by colour and smoothness.

Haematoxylin and eosin both take more green than red out of the light, so tissue is purple, pink or red but never green
or plainly blue, and never grey. Colours that ink shares with tissue (the red of blood, the dark of crowded nuclei)
count as ink if they are strong and cover a wide area: strokes are wider than vessels and clusters of cells.

Other stains have the colours of ink. There, tissue is told by its texture: ink lies on the cover glass, out of focus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from .morphology import dilate, drop_small, erode
from .texture import BLOCK_UM, Blocks

MIN_STROKE_UM2 = 150.0**2  #: smaller pieces of ink colour are pigment or blood; pens are half a millimetre wide
HALO_UM = 64.0  #: around ink its colour fades into tones that tissue has too
GREY_CHROMA = 32  #: largest channel minus smallest, of 255


class Ink(NamedTuple):
    """Colours of one ink; hue in degrees, saturation and value of 255."""

    hue: tuple[float, float]
    """From, to; from above to wraps around red."""
    min_saturation: int
    min_value: int


INKS = {
    "green": Ink(hue=(70, 195), min_saturation=50, min_value=25),  # no stain of H&E comes near
    "blue": Ink(hue=(195, 233), min_saturation=130, min_value=40),  # haematoxylin starts at 240 degrees
    "red": Ink(hue=(346, 14), min_saturation=192, min_value=110),  # eosin and blood are paler
}
MAX_BLACK_VALUE = 100  #: black ink is grey (`GREY_CHROMA`) and darker than this
MAX_BLACK_SATURATION = 90  #: dense DAB is as dark and as grey, but brown
MAX_FILL_VALUE = 24  #: what was not scanned is filled with black, where ink lets some light through
FILL_RIM_UM = 24.0  #: the fill's border, where scaling and JPEG mix it with its neighbours

SMOOTH = 0.02  #: ink has less texture (`block_texture`), sections have more
EDGE_UM = 24.0  #: the border of a stroke runs out, which is no texture
STAIN_SHARE = 0.2  #: a colour of ink is the stain's where this share of all that is no glass has it, not smooth ...
THIN_SHARE = 0.02  #: ... or this share, where ...
THIN = 0.5  #: ... more than this part of it is thinner than a stroke
OWN_SHARE = 0.01  #: the same for a stain that is known to have the colour
REACH_UM = 640.0  #: strokes run on over tissue, and are not smooth there; a stain is also found farther away
MIN_COLOUR, MAX_GLASS = 30, 215  #: glass has less saturation, and is brighter


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is no tissue by its colour; every mask is bool ``[H, W]``."""

    ink: np.ndarray
    """Coloured ink and its surroundings."""
    black: np.ndarray
    """Black ink and its surroundings, and what was not scanned."""
    kept: tuple[str, ...] = ()
    """Colours of ink that turned out to be the stain's own."""


@dataclass(frozen=True, kw_only=True)
class _Area:
    """All pixels of one colour of ink."""

    name: str
    smooth: np.ndarray
    """Where the picture is smooth, bool ``[H, W]``."""
    rough: float
    """Blocks of this colour, away from strokes, and not smooth."""
    thin: float
    """Of those, in parts too thin for a pen."""

    def is_stain(self, stained: float, *, known: bool) -> bool:
        """Return whether it is tissue: so frequent among the blocks with stain, or so thin, that no pen was it."""
        if known:
            return self.rough > OWN_SHARE * stained
        share = THIN_SHARE if self.thin > THIN * self.rough else STAIN_SHARE
        return self.rough > share * stained


def find_marks(
    hsv: tuple[np.ndarray, np.ndarray, np.ndarray],
    grey: np.ndarray,
    mpp: float,
    *,
    blocks: Blocks,
    own: frozenset[str] | None = frozenset(),
) -> Marks:
    """Find ink and black.

    Args:
        hsv: Hue, saturation and value as Pillow has them, uint8 ``[H, W]`` each.
        grey: Brightness, uint8 ``[H, W]``.
        mpp: Microns per pixel.
        blocks: The same brightness in blocks.
        own: Inks whose colour the stain may have, too; None is any.
    """
    ink, black = np.zeros(grey.shape, bool), np.zeros(grey.shape, bool)
    found = list(_of_ink_colour(hsv, mpp))
    areas = [_area(name, mask, blocks) for name, mask in found if own is None or name in own]
    no_glass = blocks.thinned((hsv[1] > MIN_COLOUR) | (grey < MAX_GLASS))
    for _, mask in found:
        no_glass = no_glass & ~blocks.thinned(mask)
    stained = blocks.cover(no_glass).sum() + sum(area.rough for area in areas)
    smooth = {area.name: area.smooth for area in areas if area.is_stain(stained, known=own is not None)}
    for name, mask in found:
        target = black if name == "black" else ink
        target |= drop_small(mask & smooth[name], MIN_STROKE_UM2 / mpp**2) if name in smooth else mask
    ink = _with_halo(ink, mpp)
    return Marks(ink=ink, black=_with_fill(black, hsv[2], mpp) & ~ink, kept=tuple(smooth))


def _of_ink_colour(hsv: tuple[np.ndarray, np.ndarray, np.ndarray], mpp: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the wide areas with the colour of each ink, those that a picture has; black last."""
    hue, saturation, value = hsv
    for name, ((low, high), min_saturation, min_value) in INKS.items():
        first, last = round(low * 255 / 360), round(high * 255 / 360)
        of_hue = (hue >= first) & (hue <= last) if first <= last else (hue >= first) | (hue <= last)
        yield from _wide(name, of_hue & (saturation >= min_saturation) & (value >= min_value), mpp)
    chroma = saturation.astype(np.uint16) * value // 255
    grey = (chroma < GREY_CHROMA) & ((saturation < MAX_BLACK_SATURATION) | (value <= MAX_FILL_VALUE))
    yield from _wide("black", grey & (value < MAX_BLACK_VALUE), mpp)


def _wide(name: str, found: np.ndarray, mpp: float) -> Iterator[tuple[str, np.ndarray]]:
    if not found.any():
        return
    wide = drop_small(found, MIN_STROKE_UM2 / mpp**2)
    if wide.any():
        yield name, wide


def _area(name: str, found: np.ndarray, blocks: Blocks) -> _Area:
    """Return how smooth the pixels of one colour are."""
    inner = erode(blocks.thinned(found), EDGE_UM / blocks.thinned_px)
    texture, cover = blocks.texture(inner), blocks.cover(inner)  # [h, w], by block
    strokes = erode((texture < SMOOTH) & (cover > 0.5), 3)  # a stroke is at least three blocks wide
    rough = np.where((texture >= SMOOTH) & ~dilate(strokes, 5 + 2 * REACH_UM / BLOCK_UM), cover, 0)
    wide = dilate(erode(cover > 0.3, 3), 3)
    return _Area(
        name=name, smooth=blocks.spread(texture < SMOOTH), rough=float(rough.sum()), thin=float(rough[~wide].sum())
    )


def _with_fill(black: np.ndarray, value: np.ndarray, mpp: float) -> np.ndarray:
    """Return black with the surroundings of ink; what was not scanned ends sharply, and takes no tissue along."""
    if not black.any():
        return black
    fill = drop_small(black & (value <= MAX_FILL_VALUE), MIN_STROKE_UM2 / mpp**2)
    ink = drop_small(black & ~dilate(fill, FILL_RIM_UM / mpp), MIN_STROKE_UM2 / mpp**2) if fill.any() else black
    return _with_halo(ink, mpp) | fill


def _with_halo(ink: np.ndarray, mpp: float) -> np.ndarray:
    """Return ink and its surroundings, to the nearest two pixels: a fourth of the pixels, and half of the passes."""
    if not ink.any():
        return ink
    h, w = ink.shape
    padded = np.pad(ink, ((0, h % 2), (0, w % 2)))
    halved = padded[::2, ::2] | padded[1::2, ::2] | padded[::2, 1::2] | padded[1::2, 1::2]
    grown = dilate(halved, HALO_UM / mpp)  # a diameter of twice the halo, at half the size
    return grown.repeat(2, axis=1)[:, :w].repeat(2, axis=0)[:h]


def hsv_of(picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hue, saturation and value of an RGB picture, uint8 ``[H, W]`` each."""
    hue, saturation, value = (np.asarray(band) for band in picture.convert("HSV").split())
    return hue, saturation, value
