"""Masks of the user's own: tissue (or tumour, or any region) from a mask image or QuPath's GeoJSON, not detected."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.nearest import near_path
from pathplugins.data.records import first_shown

from ..slides.slide import SlideError
from .contours import Polygon, fill

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
GEOJSON_SUFFIXES = (".geojson", ".json")
MASK_NAMES = tuple(f"{stem}{s}" for s in (*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES) for stem in ("{}", "{}_mask"))
ASPECT_TOLERANCE = 0.02  #: thumbnails are rounded to whole pixels; more than this is the mask of another slide


@dataclass(frozen=True, kw_only=True)
class OwnMask:
    """The mask of one slide."""

    path: Path
    sha256: str
    """Hash of the file, so that a changed mask of the same name counts as another one."""
    class_name: str | None = None
    """Take only objects of this class of a GeoJSON, capitals aside; None takes all."""


def find_masks(given: Path, slides: list[Path], class_name: str | None = None) -> dict[Path, OwnMask]:
    """Return the mask of every slide, by slide.

    Args:
        given: A folder with one file per slide, or the file itself for a single slide.
        slides: The slides.
        class_name: Class of the objects to take from GeoJSON; None takes all.

    Raises:
        SlideError: slides without a mask or with two, all of them named.
    """
    if given.is_file() and len(slides) == 1:
        files = {slides[0]: [given]}
    elif given.is_dir():
        files = {s: [p for name in MASK_NAMES if (p := given / name.format(s.stem)).is_file()] for s in slides}
    elif given.is_file():
        raise SlideError(f"--mask {given} is one file but there are {len(slides)} slides; give a folder of masks")
    else:
        raise SlideError(
            f"--mask {given}: no such file or folder{near_path(given)}; give a mask, or a folder with one per slide"
        )
    bad = [f"{slide.stem}: {_choice(found)}" for slide, found in files.items() if len(found) != 1]
    if bad:
        stem = next(slide.stem for slide, found in files.items() if len(found) != 1)
        looked = ", ".join(name.format(stem) for name in MASK_NAMES)
        raise SlideError(
            f"--mask {given}: {len(bad)} of {len(slides)} slides do not have exactly one mask:\n{first_shown(bad)}"
            f"\nlooked for {looked}; add the masks, or set process to 0 for these slides in the process list"
        )
    return {slide: _identified(path, class_name) for slide, (path,) in files.items()}


def load_mask(own: OwnMask, size_px0: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Read a mask: bool ``[H, W]`` over the whole slide.

    Args:
        own: The mask.
        size_px0: (w, h) of the slide.
        shape: (H, W) to draw polygons at; images with more pixels are reduced to it, coarser ones stay as they are.

    Raises:
        SlideError: it cannot be read, does not fit the slide, or holds no area.
    """
    content = own.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != own.sha256:
        raise SlideError(f"{own.path}: changed while the slides were worked on; run the same command again")
    if own.path.suffix.lower() in GEOJSON_SUFFIXES:
        return _drawn(own, content, size_px0, shape)
    return _from_image(own.path, content, size_px0, shape)


def _choice(found: list[Path]) -> str:
    return " and ".join(path.name for path in found) + " (keep one)" if found else "none"


def _identified(path: Path, class_name: str | None) -> OwnMask:
    suffix = path.suffix.lower()
    if suffix not in (*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES):
        kinds = " ".join((*IMAGE_SUFFIXES, *GEOJSON_SUFFIXES))
        raise SlideError(f"--mask {path}: a mask is one of {kinds}; export it as PNG or GeoJSON")
    if class_name is not None and suffix in IMAGE_SUFFIXES:
        raise SlideError(f"--mask-class {class_name}: {path} is an image, which has no classes; leave --mask-class out")
    return OwnMask(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), class_name=class_name)


def _from_image(path: Path, content: bytes, size_px0: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Read a mask image: pixels above zero are tissue; an alpha channel does not count.

    JPEG has no exact zeros beside an edge; in a JPEG, pixels above half of the brightest one are tissue.
    """
    try:
        image = Image.open(io.BytesIO(content))
        one_band = len(image.getbands()) == 1  # a palette image is read as its indices
        pixels = np.asarray(image if one_band else image.convert("RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise SlideError(f"{path}: not a readable mask image ({error}); export it again, smaller or as PNG") from error
    brightest = pixels if one_band else pixels.max(axis=2)  # [H, W]
    lossy = image.format == "JPEG" or image.info.get("compression") == "jpeg"
    mask = brightest > (brightest.max() / 2 if lossy else 0)
    (w, h), (w0, h0) = mask.shape[::-1], size_px0
    if abs(w / h / (w0 / h0) - 1) > ASPECT_TOLERANCE + 0.5 / min(w, h):  # half a pixel of rounding
        raise SlideError(
            f"{path}: {w} x {h} pixels but its slide is {w0} x {h0}: the sides are {w / h:.3f} to 1, not "
            f"{w0 / h0:.3f}; a mask covers the whole slide, so export it again from this one"
        )
    if w * h <= shape[0] * shape[1]:
        return mask
    reduced = Image.fromarray(mask.astype(np.uint8) * 255).resize(shape[::-1], Image.Resampling.BOX)
    return np.asarray(reduced) > 127


def _drawn(own: OwnMask, content: bytes, size_px0: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Draw the polygons of a GeoJSON (level-0 pixels) as a mask."""
    try:
        found = list(_objects(json.loads(content)))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise SlideError(
            f"{own.path}: not GeoJSON with polygons ({type(error).__name__}: {error}); export the objects from QuPath "
            "as a FeatureCollection"
        ) from error
    wanted = None if own.class_name is None else own.class_name.casefold()
    taken = [polygon for name, polygon in found if wanted is None or name.casefold() == wanted]
    if not taken:
        classes = ", ".join(sorted({name or "(no class)" for name, _ in found})) or "no polygons at all"
        of_class = "" if wanted is None else f" of class {own.class_name}"
        raise SlideError(
            f"{own.path}: no polygons{of_class}; it has {classes}: pass one of its classes, or another file"
        )
    mask = np.zeros(shape, bool)
    scale = np.array([shape[1] / size_px0[0], shape[0] / size_px0[1]])  # mask pixels per level-0 pixel, (x, y)
    points = np.concatenate([ring for polygon in taken for ring in polygon])
    if (points < -max(size_px0)).any() or (points > 2 * max(size_px0)).any() or not np.isfinite(points).all():
        raise SlideError(
            f"{own.path}: its polygons reach to {points.max(axis=0).tolist()} but the slide is {size_px0} pixels; "
            "coordinates are level-0 pixels: export again from this slide, not in microns"
        )
    for polygon in taken:
        fill(mask, [ring * scale for ring in polygon])
    return mask


def _objects(node: Any) -> Iterator[tuple[str, Polygon]]:
    """Yield (class, polygon) of all areas in a FeatureCollection, list, feature or geometry; skip points and lines."""
    if isinstance(node, list):
        for item in node:
            yield from _objects(item)
    elif node["type"] == "FeatureCollection":
        yield from _objects(node["features"])
    elif node["type"] == "Feature":
        name = _class_name((node.get("properties") or {}).get("classification"))
        yield from ((name, polygon) for _, polygon in _objects(node["geometry"]))
    elif node["type"] == "GeometryCollection":
        yield from _objects(node["geometries"])
    elif node["type"] in ("Polygon", "MultiPolygon"):
        polygons = [node["coordinates"]] if node["type"] == "Polygon" else node["coordinates"]
        for rings in polygons:
            if any(rings):
                yield "", [np.array([point[:2] for point in ring], np.float64).reshape(-1, 2) for ring in rings]


def _class_name(classification: Any) -> str:
    """Return the name of a class: QuPath writes {"name": ...} or {"names": [...]}, other tools a bare string."""
    if isinstance(classification, str) or classification is None:
        return classification or ""
    return ": ".join(classification["names"]) if "names" in classification else classification.get("name") or ""
