"""Masks from GeoJSON: the areas that a user drew in QuPath or another viewer, as a mask of the slide.

Classes that QuPath ignores, those with a ``*`` at their end, are no tissue. Of those, and of the same names without a
``*``, ``Ignore``, ``Exclude`` and ``Hole`` are cut out of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pathplugins.core.json_values import parse_json

from ..slides.bounds import Bounds
from ..slides.slide import SlideError
from .contours import Polygon, fill

ORIGIN = "origin_px0"  #: member of our own collections: where they count from, [x, y] in level-0 pixels
IGNORED_END = "*"
CUT_OUT = ("ignore", "exclude", "exclusion", "hole", "holes")  #: names, without ``*`` and capitals
NO_CLASS = "(no class)"
LINES = "points or lines"


class Drawn(NamedTuple):
    """The areas of one file, drawn."""

    mask: np.ndarray
    """Bool ``[H, W]`` over the whole slide."""
    notes: tuple[str, ...]
    """What was left out, and where the file was taken to count from."""


def draw_geojson(
    path: Path,
    content: bytes,
    *,
    class_name: str | None,
    size_px0: tuple[int, int],
    shape: tuple[int, int],
    scanned: Bounds | None = None,
) -> Drawn:
    """Draw the polygons of a GeoJSON as a mask.

    Args:
        path: The file, for messages.
        content: What it holds.
        class_name: Take only this class, capitals aside; None takes all but the ignored ones.
        size_px0: (w, h) of the slide.
        shape: (H, W) of the mask.
        scanned: The part of the slide whose corner the file counts from, unless it names a corner itself; None for
            the corner of level 0.

    Raises:
        SlideError: it is no GeoJSON, has no such areas, or reaches beyond the slide.
    """
    try:
        read = parse_json(content)
        found = list(_objects(read))
        own_origin = read.get(ORIGIN) if isinstance(read, dict) else None
        origin = own_origin or (scanned.origin_xy if scanned else (0, 0))
        shift = np.array(origin, np.float64).reshape(2)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise SlideError(
            f"{path}: not GeoJSON with polygons ({type(error).__name__}: {error}); export the objects from QuPath "
            "as a FeatureCollection"
        ) from error
    areas = [(name, rings) for name, rings in found if rings is not None]
    taken, cut, left_out = _sorted(areas, class_name)
    if not taken:
        raise SlideError(_nothing(path, areas, class_name))
    _check_inside(path, np.concatenate([ring for polygon in taken for ring in polygon]), size_px0)
    if scanned and own_origin is None:
        _check_scanned(path, taken, scanned)
    scale = np.array([shape[1] / size_px0[0], shape[0] / size_px0[1]])  # mask pixels per level-0 pixel, (x, y)
    mask = np.zeros(shape, bool)
    for polygon in taken:
        fill(mask, [(ring + shift) * scale for ring in polygon])
    for _, polygon in cut:
        hole = np.zeros(shape, bool)
        fill(hole, [(ring + shift) * scale for ring in polygon])
        mask &= ~hole
    left_out += Counter({LINES: lines}) if (lines := sum(rings is None for _, rings in found)) else Counter()
    notes = [_counted(path, "cut out", Counter(name for name, _ in cut)), _counted(path, "left out", left_out)]
    if scanned and own_origin is None and any(scanned.origin_xy):
        notes.append(
            f"{path.name} counts from the corner of the scanned area, level-0 x, y = {[*scanned.origin_xy]}, as QuPath "
            "does (--mask-frame level0 if it counts from the corner of level 0)"
        )
    return Drawn(mask, tuple(note for note in notes if note))


def _sorted(
    areas: list[tuple[str, Polygon]], class_name: str | None
) -> tuple[list[Polygon], list[tuple[str, Polygon]], Counter[str]]:
    """Return the polygons to take, those to cut out, and how many of which class are neither."""
    wanted = None if class_name is None else class_name.casefold()
    taken: list[Polygon] = []
    cut: list[tuple[str, Polygon]] = []
    left_out: Counter[str] = Counter()
    for name, polygon in areas:
        if name.casefold() == wanted or (wanted is None and not _ignored(name)):
            taken.append(polygon)
        elif _bare(name) in CUT_OUT:
            cut.append((name, polygon))
        else:
            left_out[name or NO_CLASS] += 1
    return taken, cut, left_out


def _bare(name: str) -> str:
    return name.rstrip(IGNORED_END + " ").casefold()


def _ignored(name: str) -> bool:
    return name.endswith(IGNORED_END) or _bare(name) in CUT_OUT


def _nothing(path: Path, areas: list[tuple[str, Polygon]], class_name: str | None) -> str:
    """Return the message for a file without a polygon to take."""
    classes = ", ".join(sorted({name or NO_CLASS for name, _ in areas}))
    if not classes:
        return f"{path}: no polygons at all; export areas, not points or lines, or pass another file"
    what = "but of classes that QuPath ignores" if class_name is None else f"of class {class_name}"
    return f"{path}: no polygons {what}; it has {classes}: pass one of its classes (--mask-class), or another file"


def _counted(path: Path, what: str, counts: Counter[str]) -> str:
    """Return how many areas of which class were left out or cut out; empty for none."""
    each = ", ".join(f"{count} {name if name == LINES else f'of {name}'}" for name, count in sorted(counts.items()))
    return f"{path.name}: {what}: {each}" if counts else ""


def _check_inside(path: Path, points: np.ndarray, size_px0: tuple[int, int]) -> None:
    """Refuse points ``[P, 2]`` far beyond the slide: they are in another unit, or of another slide."""
    far = max(size_px0)
    if (points < -far).any() or (points > 2 * far).any() or not np.isfinite(points).all():
        raise SlideError(
            f"{path}: its polygons reach to {points.max(axis=0).tolist()} but the slide is {size_px0} pixels; "
            "coordinates are level-0 pixels: export again from this slide, not in microns"
        )


def _check_scanned(path: Path, polygons: list[Polygon], scanned: Bounds) -> None:
    """Refuse polygons that do not lie within the scanned part, counted from its corner."""
    size = np.array([scanned.w, scanned.h])
    middles = np.array([(polygon[0].min(axis=0) + polygon[0].max(axis=0)) / 2 for polygon in polygons])  # [K, 2]
    beyond = int((middles > size).any(axis=1).sum())
    if beyond:
        raise SlideError(
            f"{path}: {beyond} of {len(polygons)} polygons lie beyond the scanned area of {scanned.w} x {scanned.h} "
            "pixels, from whose corner QuPath counts; if they count from the corner of level 0, as OpenSlide and "
            "TRIDENT do, pass --mask-frame level0"
        )


def _objects(node: Any) -> Iterator[tuple[str, Polygon | None]]:
    """Yield (class, polygon) of all areas in a FeatureCollection, list, feature or geometry; None for no area."""
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
    else:
        yield "", None


def _class_name(classification: Any) -> str:
    """Return the name of a class: QuPath writes {"name": ...} or {"names": [...]}, other tools a bare string."""
    if isinstance(classification, str) or classification is None:
        return classification or ""
    return ": ".join(classification["names"]) if "names" in classification else classification.get("name") or ""
