"""Options of image-caption pairs: how their pictures are cut, encoded and named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pathplugins.core.errors import PathPluginsError

from ...pictures.files import encode_jpeg, encode_png
from ...slides.resolution import GIVEN_FOR_ALL, ContradictionError, resolve
from ...slides.slide import Slide, SlideError
from ...tiling.geometry import fit_tiling
from ...tiling.spec import TilingSpec

PAIR_FORMATS = ("jpeg", "png", "webdataset")
NAMINGS = ("slide", "flat")
OUTSIDE = ("skip", "pad")
LOWEST_QUALITY = 1
HIGHEST_QUALITY = 100
MOST_PNG_LEVEL = 9


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """How the pictures of pairs are cut, encoded and named; plain values."""

    format: Literal["jpeg", "png", "webdataset"] = "jpeg"
    quality: int = 90
    """JPEG quality, 1 to 100."""
    png_level: int = 1
    """zlib level of PNG, 0 to 9."""
    naming: Literal["slide", "flat"] = "slide"
    """``<wsi_id>/<x>_<y>.jpg`` as in PathGen-Instruct, or ``<wsi_id>_<x>_<y>.png`` as in PathGen's README."""
    captions: bool = False
    """Write a ``.txt`` beside every picture."""
    size: int = 672
    """Side of a picture in pixels; level-0 pixels if ``mpp`` is None."""
    mpp: float | None = None
    """Microns per pixel of the pictures; None takes level-0 pixels of any resolution, as published."""
    slide_mpp: float | None = None
    """Level-0 microns per pixel of slides that record none."""
    outside: Literal["skip", "pad"] = "skip"
    """Boxes that extend beyond the slide: ``skip`` and report them, or ``pad`` with white and flag them."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise PathPluginsError(f"--size must be at least 1 pixel, got {self.size}; 672 is the published size")
        if not LOWEST_QUALITY <= self.quality <= HIGHEST_QUALITY:
            raise PathPluginsError(
                f"--quality must be {LOWEST_QUALITY} to {HIGHEST_QUALITY}, got {self.quality}; 90 is usual"
            )
        if not 0 <= self.png_level <= MOST_PNG_LEVEL:
            raise PathPluginsError(f"--png-level must be 0 to {MOST_PNG_LEVEL}, got {self.png_level}; 1 is usual")
        for option, mpp in (("--mpp", self.mpp), ("--slide-mpp", self.slide_mpp)):
            if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
                raise PathPluginsError(f"{option} must be microns per pixel above 0 (e.g. 0.5), got {mpp:g}")

    @property
    def suffix(self) -> str:
        """Suffix of the pictures, without a dot."""
        return "png" if self.format == "png" else "jpg"

    def image_name(self, wsi_id: str, x: int, y: int) -> str:
        """Return the path of a picture relative to the output folder, when pictures are separate files."""
        return f"{wsi_id}{'/' if self.naming == 'slide' else '_'}{x}_{y}.{self.suffix}"

    def encode(self, pixels: np.ndarray) -> bytes:
        """Encode pixels, uint8 ``[H, W, 3]``, as JPEG or PNG."""
        return encode_png(pixels, self.png_level) if self.format == "png" else encode_jpeg(pixels, self.quality)

    def settings(self, *, mpp_source: str | None, has_outside: bool, override_mpp: float | None) -> str:
        """Return the settings that affect the pairs of one slide, as JSON; settings without effect are left out.

        Args:
            mpp_source: Where the slide's resolution came from; None if it has none.
            has_outside: Whether a box extends beyond the slide.
            override_mpp: Level-0 microns per pixel given for this slide.
        """
        values: dict[str, Any] = {"format": self.format, "size": self.size, "mpp": self.mpp}
        values |= {"png_level": self.png_level} if self.format == "png" else {"quality": self.quality}
        if self.format != "webdataset":
            values |= {"naming": self.naming, "captions": self.captions}
        if mpp_source in (None, GIVEN_FOR_ALL):
            values["slide_mpp"] = self.slide_mpp
        if has_outside:
            values["outside"] = self.outside
        return json.dumps({**values, "mpp_of_the_slide": override_mpp}, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Size and resolution of the boxes of one slide."""

    size_px0: int
    """Side of a box, level-0 pixels."""
    mpp: float | None
    """Microns per pixel of the pictures; None if unknown."""
    mpp_source: str | None
    note: str | None = None
    """A warning about the resolution."""


def frame_of(slide: Slide, options: PairOptions, override_mpp: float | None) -> Frame:
    """Work out the size of the boxes of a slide.

    Raises:
        SlideError: ``options.mpp`` is set and the slide has no resolution, or a coarser one.
    """
    try:
        found = resolve(slide, fallback_mpp=options.slide_mpp, override_mpp=override_mpp)
    except SlideError as error:  # no resolution, which level-0 pixels do not need
        if options.mpp is not None:
            raise
        note = str(error) if isinstance(error, ContradictionError) else None
        return Frame(size_px0=options.size, mpp=None, mpp_source=None, note=note)
    if options.mpp is None:
        return Frame(size_px0=options.size, mpp=found.mpp, mpp_source=found.source, note=found.note)
    spec = TilingSpec(patch_size=options.size, mpp=options.mpp)
    tiling = fit_tiling(spec, level0_mpp=found.mpp, downsamples=slide.downsamples, slide=str(slide.path))
    return Frame(size_px0=tiling.patch_size_px0, mpp=tiling.mpp, mpp_source=found.source, note=found.note)


def fraction_outside(x: int, y: int, side: int, size: tuple[int, int]) -> float:
    """Return the fraction of the square at (x, y) that lies beyond a slide of ``size`` (w, h); all level-0 pixels."""
    across = max(0, min(x + side, size[0]) - max(x, 0))
    down = max(0, min(y + side, size[1]) - max(y, 0))
    return 1 - across * down / side**2
