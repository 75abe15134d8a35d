"""Masks of the user's own: tissue (or tumour, or any region) from a mask image or QuPath's GeoJSON, not detected."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from pathplugins.core.nearest import near_path
from pathplugins.core.suffixes import slide_name
from pathplugins.data.records import first_shown

from ..slides.bounds import Bounds
from ..slides.slide import SlideError
from .mask_geojson import draw_geojson
from .mask_image import place, read_mask_image

Frame = Literal["qupath", "level0"]
FRAMES: tuple[Frame, ...] = ("qupath", "level0")
"""Where a mask counts from: the corner of the scanned area, as in QuPath, or that of level 0."""

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
GEOJSON_SUFFIXES = (".geojson", ".json")
MASK_NAMES = tuple(f"{stem}{s}" for s in (*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES) for stem in ("{}", "{}_mask"))


@dataclass(frozen=True, kw_only=True)
class OwnMask:
    """The mask of one slide."""

    path: Path
    sha256: str
    """Hash of the file, so that a changed mask of the same name counts as another one."""
    class_name: str | None = None
    """Take only objects of this class of a GeoJSON, capitals aside, or this value of an image; None takes all."""
    frame: Frame | None = None
    """Where it counts from on a slide that records its scanned area; None is QuPath's for GeoJSON, and for an image
    what its sides fit."""

    def settings(self) -> dict[str, str | None]:
        """Return what decides the mask: its content, not its path."""
        drawn = self.path.suffix.lower() in GEOJSON_SUFFIXES
        frame = self.frame or ("qupath" if drawn else None)  # recorded: older versions took GeoJSON for level 0
        return {
            "mask": self.sha256[:12],
            "mask_class": self.class_name,
            **({"mask_frame": frame} if frame else {}),
        }


class LoadedMask(NamedTuple):
    """A mask of a slide."""

    mask: np.ndarray
    """Bool ``[H, W]`` over the whole slide."""
    notes: tuple[str, ...] = ()
    """What was left out, and how it was read where that is not obvious."""


def find_masks(
    given: Path, slides: list[Path], class_name: str | None = None, frame: Frame | None = None
) -> dict[Path, OwnMask]:
    """Return the mask of every slide, by slide.

    Args:
        given: A folder with one file per slide, or the file itself for a single slide.
        slides: The slides.
        class_name: Class of the objects to take from GeoJSON, or value of images; None takes all.
        frame: Where the masks count from.

    Raises:
        SlideError: slides without a mask or with two, all of them named.
    """
    if given.is_file() and len(slides) == 1:
        files = {slides[0]: [given]}
    elif given.is_dir():
        files = {s: [p for name in MASK_NAMES if (p := given / name.format(slide_name(s))).is_file()] for s in slides}
    elif given.is_file():
        raise SlideError(f"--mask {given} is one file but there are {len(slides)} slides; give a folder of masks")
    else:
        raise SlideError(
            f"--mask {given}: no such file or folder{near_path(given)}; give a mask, or a folder with one per slide"
        )
    bad = [f"{slide_name(slide)}: {_choice(found)}" for slide, found in files.items() if len(found) != 1]
    if bad:
        stem = next(slide_name(slide) for slide, found in files.items() if len(found) != 1)
        looked = ", ".join(name.format(stem) for name in MASK_NAMES)
        raise SlideError(
            f"--mask {given}: {len(bad)} of {len(slides)} slides do not have exactly one mask:\n{first_shown(bad)}"
            f"\nlooked for {looked}; add the masks, or set process to 0 for these slides in the process list"
        )
    return {slide: _identified(path, class_name, frame) for slide, (path,) in files.items()}


def load_mask(
    own: OwnMask, size_px0: tuple[int, int], shape: tuple[int, int], scanned: Bounds | None = None
) -> LoadedMask:
    """Read a mask.

    Args:
        own: The mask.
        size_px0: (w, h) of the slide.
        shape: (H, W) to draw polygons at; images with more pixels are reduced to it, coarser ones stay as they are.
        scanned: The scanned part of the slide, where it records one.

    Raises:
        SlideError: it cannot be read, does not fit the slide, or holds no area.
    """
    content = own.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != own.sha256:
        raise SlideError(f"{own.path}: changed while the slides were worked on; run the same command again")
    if own.path.suffix.lower() in GEOJSON_SUFFIXES:
        counts_from = None if own.frame == "level0" else scanned
        return LoadedMask(
            *draw_geojson(
                own.path, content, class_name=own.class_name, size_px0=size_px0, shape=shape, scanned=counts_from
            )
        )
    label = None if own.class_name is None else int(own.class_name)
    read = read_mask_image(own.path, content, label=label, shape=shape)
    mask = place(own.path, read, size_px0=size_px0, scanned=scanned, frame=own.frame, shape=shape)
    return LoadedMask(mask, read.notes)


def _choice(found: list[Path]) -> str:
    return " and ".join(path.name for path in found) + " (keep one)" if found else "none"


def _identified(path: Path, class_name: str | None, frame: Frame | None) -> OwnMask:
    suffix = path.suffix.lower()
    if suffix not in (*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES):
        kinds = " ".join((*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES))
        raise SlideError(f"--mask {path}: a mask is one of {kinds}; export it as PNG or GeoJSON")
    if class_name is not None and suffix in IMAGE_SUFFIXES and not class_name.isdecimal():
        raise SlideError(
            f"--mask-class {class_name}: {path} is an image, which has no classes but its values; give the value of "
            "tissue, such as 1, or leave --mask-class out"
        )
    return OwnMask(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), class_name=class_name, frame=frame)
