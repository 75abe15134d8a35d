"""Mask options: tissue that the user drew, instead of detection."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ...tissue.own_mask import FRAMES, Frame, OwnMask, find_masks


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """Masks that the user drew, instead of tissue detection."""

    mask: Path | None = None
    """A folder with one mask per slide, or the mask of the only slide."""
    mask_class: str | None = None
    """Take only this class of a GeoJSON mask, or this value of an image."""
    mask_frame: Frame | None = None
    """Where masks count from on slides that record their scanned area."""

    def __post_init__(self) -> None:
        if self.mask_class is not None and self.mask is None:
            raise PathPluginsError(f"--mask-class {self.mask_class} is a class of a GeoJSON; say which with --mask")
        if self.mask_frame is not None and self.mask is None:
            raise PathPluginsError(f"--mask-frame {self.mask_frame} is that of masks; say which with --mask")

    def masks(self, slides: list[Path]) -> dict[Path, OwnMask]:
        """Return the mask of every slide; empty without ``--mask``.

        Raises:
            SlideError: slides without a mask or with two, all of them named.
        """
        return (
            {} if self.mask is None or not slides else find_masks(self.mask, slides, self.mask_class, self.mask_frame)
        )


def add_mask_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `MaskOptions`."""
    sub.add_argument(
        "--mask",
        type=Path,
        metavar="DIR|FILE",
        help="masks of your own instead of detection: images (above 0 is tissue) or GeoJSON, named like the slides",
    )
    sub.add_argument(
        "--mask-class", metavar="NAME", help="take only this class of a GeoJSON --mask, or value of an image"
    )
    sub.add_argument(
        "--mask-frame",
        choices=FRAMES,
        help="where masks count from on slides with a scanned area on a larger canvas (MRXS, SCN): qupath, its corner "
        "(default for GeoJSON); level0, that of the canvas, as ASAP and TRIDENT do",
    )
