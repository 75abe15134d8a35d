"""Write GeoJSON that QuPath imports (drop the file on the open slide); level-0 pixels, counted as QuPath does.

QuPath counts from the corner of the scanned area (`pathplugins.data_tools.slides.bounds`); a file whose corner is not
that of level 0 records it as ``origin_px0``, which QuPath ignores and ``--mask`` reads.
Tissue is written as annotations, which QuPath lets its users edit. Patches with their scores are written as detections,
because QuPath gets slow with thousands of annotations and its measurement maps colour detections. Measurements are a
map, as QuPath 0.4 and later write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .contours import polygons
from .mask_geojson import ORIGIN

Colour = tuple[int, int, int]
TISSUE = ("Tissue", (0, 140, 70))  #: name and colour of the class
SIMPLIFY_PX = 1.0  #: pixels of the mask by which a contour may be off


def write_patches(
    path: Path,
    *,
    coords_xy: np.ndarray,
    patch_size_level0: int,
    classes: list[tuple[str, Colour]],
    measurements: dict[str, np.ndarray],
    origin_xy: tuple[int, int] = (0, 0),
) -> None:
    """Write a FeatureCollection with one closed square per patch, in the order given.

    Args:
        path: the file; written in place.
        coords_xy: ``[N, 2]`` integer top-left corners, level-0 pixels.
        patch_size_level0: side, level-0 pixels.
        classes: N names and colours.
        measurements: see `write_boxes`.
        origin_xy: where QuPath counts from on this slide, level-0 pixels.
    """
    boxes = np.concatenate([coords_xy, np.full_like(coords_xy, patch_size_level0)], axis=1)  # [N, 4]
    write_boxes(path, boxes=boxes, classes=classes, measurements=measurements, origin_xy=origin_xy)


def write_boxes(
    path: Path,
    *,
    boxes: np.ndarray,
    classes: list[tuple[str, Colour]],
    measurements: Mapping[str, Sequence[float | None] | np.ndarray],
    origin_xy: tuple[int, int] = (0, 0),
) -> None:
    """Write a FeatureCollection with one closed rectangle per box, in the order given.

    Args:
        path: the file; written in place.
        boxes: ``[N, 4]`` x, y, width and height, level-0 pixels.
        classes: N names and colours.
        measurements: name -> N finite numbers, None for a box that has none.
        origin_xy: where QuPath counts from on this slide, level-0 pixels.
    """
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    rings = boxes[:, None, :2] - np.array(origin_xy) + corners * boxes[:, None, 2:]  # [N, 5, 2]
    features: list[dict[str, Any]] = []
    for row, (ring, (name, colour)) in enumerate(zip(rings.tolist(), classes, strict=True)):
        properties: dict[str, Any] = {
            "objectType": "detection",
            "classification": {"name": name, "color": list(colour)},
        }
        if measurements:
            own = {key: values[row] for key, values in measurements.items()}
            properties["measurements"] = {key: float(value) for key, value in own.items() if value is not None}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    _write(path, features, origin_xy)


def write_tissue(path: Path, mask: np.ndarray, size_px0: tuple[int, int], origin_xy: tuple[int, int] = (0, 0)) -> None:
    """Write a FeatureCollection with one polygon, holes cut out, per piece of tissue.

    Args:
        path: the file; written in place.
        mask: bool ``[H, W]`` over the whole slide.
        size_px0: (w, h) of the slide.
        origin_xy: where QuPath counts from on this slide, level-0 pixels.
    """
    (h, w), (name, colour) = mask.shape, TISSUE
    scale = np.array([size_px0[0] / w, size_px0[1] / h])  # level-0 pixels per mask pixel, (x, y)
    properties = {"objectType": "annotation", "classification": {"name": name, "color": list(colour)}}
    features = []
    for polygon in polygons(mask, tolerance_px=SIMPLIFY_PX):
        rings = [np.concatenate([ring, ring[:1]]) * scale - origin_xy for ring in polygon]  # closed
        geometry = {"type": "Polygon", "coordinates": [ring.round().astype(int).tolist() for ring in rings]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    _write(path, features, origin_xy)


def _write(path: Path, features: list[dict[str, Any]], origin_xy: tuple[int, int]) -> None:
    origin = {ORIGIN: list(origin_xy)} if any(origin_xy) else {}
    collection = {"type": "FeatureCollection", **origin, "features": features}
    path.write_text(json.dumps(collection, allow_nan=False, separators=(",", ":")), encoding="utf-8")
