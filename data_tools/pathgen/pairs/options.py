"""Pair options: how the pictures of image-caption pairs are cut, written and named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pathplugins.core.errors import PathPluginsError

from ...pictures.files import encode_jpeg, encode_png
from ...slides.resolution import resolve
from ...slides.slide import Slide, SlideError
from ...tiling.geometry import fit_tiling
from ...tiling.spec import TilingSpec

PAIR_FORMATS = ("jpeg", "png", "webdataset")
NAMINGS = ("slide", "flat")
OUTSIDE = ("skip", "pad")
LOWEST_QUALITY = 1
HIGHEST_QUALITY = 100
MOST_PNG_LEVEL = 9
GIVEN_FOR_ALL = "--slide-mpp"  #: what ``resolve`` calls a resolution that was given for slides without one


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """How pairs are made; plain values."""

    format: Literal["jpeg", "png", "webdataset"] = "jpeg"
    quality: int = 90
    """Of JPEG."""
    png_level: int = 1
    """Of zlib, 0 to 9."""
    naming: Literal["slide", "flat"] = "slide"
    """``<wsi_id>/<x>_<y>.jpg`` as in PathGen-Instruct, or ``<wsi_id>_<x>_<y>.png`` as in PathGen's README."""
    captions: bool = False
    """Write a ``.txt`` beside every picture."""
    size: int = 672
    """Side of a picture in pixels; of level 0 if ``mpp`` is None."""
    mpp: float | None = None
    """Microns per pixel of the pictures; None takes the pixels of level 0, whatever they measure, as published."""
    slide_mpp: float | None = None
    """Level-0 resolution of slides that record none."""
    outside: Literal["skip", "pad"] = "skip"
    """A box that sticks out of its slide: left out and reported, or white there and flagged."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise PathPluginsError(f"--size must be at least 1 pixel, got {self.size}")
        if not LOWEST_QUALITY <= self.quality <= HIGHEST_QUALITY:
            raise PathPluginsError(f"--quality of JPEG is {LOWEST_QUALITY} to {HIGHEST_QUALITY}, got {self.quality}")
        if not 0 <= self.png_level <= MOST_PNG_LEVEL:
            raise PathPluginsError(f"--png-level is 0 to {MOST_PNG_LEVEL}, got {self.png_level}")
        for option, mpp in (("--mpp", self.mpp), ("--slide-mpp", self.slide_mpp)):
            if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
                raise PathPluginsError(f"{option} is microns per pixel, above 0 (e.g. 0.5), got {mpp:g}")

    @property
    def suffix(self) -> str:
        """Of the pictures, without a dot."""
        return "png" if self.format == "png" else "jpg"

    def image_name(self, wsi_id: str, x: int, y: int) -> str:
        """Of a picture that is a file of its own, relative to the output folder."""
        return f"{wsi_id}{'/' if self.naming == 'slide' else '_'}{x}_{y}.{self.suffix}"

    def encode(self, pixels: np.ndarray) -> bytes:
        """The picture of uint8 ``[H, W, 3]``."""
        return encode_png(pixels, self.png_level) if self.format == "png" else encode_jpeg(pixels, self.quality)

    def settings(self, *, mpp_source: str | None, has_outside: bool, override_mpp: float | None) -> str:
        """All that decides the pairs of one slide, as JSON; what made no difference to it is left out.

        Args:
            mpp_source: Where the slide's resolution came from, None if it has none.
            has_outside: Whether a box sticks out of the slide.
            override_mpp: Resolution given for this slide.
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
    """How large the boxes of one slide are."""

    size_px0: int
    """Side, level-0 pixels."""
    mpp: float | None
    """Of the pictures; None if nobody knows."""
    mpp_source: str | None
    note: str | None = None
    """What is odd about the resolution."""


def frame_of(slide: Slide, options: PairOptions, override_mpp: float | None) -> Frame:
    """The boxes of a slide.

    Raises:
        SlideError: a resolution is asked for and the slide has none, or a coarser one.
    """
    try:
        found = resolve(slide, fallback_mpp=options.slide_mpp, override_mpp=override_mpp)
    except SlideError:  # no resolution; of no importance to pixels of level 0
        if options.mpp is not None:
            raise
        return Frame(size_px0=options.size, mpp=None, mpp_source=None)
    if options.mpp is None:
        return Frame(size_px0=options.size, mpp=found.mpp, mpp_source=found.source, note=found.note)
    spec = TilingSpec(patch_size=options.size, mpp=options.mpp)
    tiling = fit_tiling(spec, level0_mpp=found.mpp, downsamples=slide.downsamples, slide=str(slide.path))
    return Frame(size_px0=tiling.patch_size_px0, mpp=tiling.mpp, mpp_source=found.source, note=found.note)


def fraction_outside(x: int, y: int, side: int, size: tuple[int, int]) -> float:
    """How much of the square at (x, y) lies beyond a slide of ``size`` (w, h); all level-0 pixels."""
    across = max(0, min(x + side, size[0]) - max(x, 0))
    down = max(0, min(y + side, size[1]) - max(y, 0))
    return 1 - across * down / side**2
