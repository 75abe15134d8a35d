"""GeoJSON: patches with their scores as objects that QuPath imports (drop the file on the open slide).

Detections, because QuPath keeps annotations editable and gets slow with thousands of them; detections are what its
measurement maps colour. Measurements are a map, as QuPath 0.4 and later write them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Colour = tuple[int, int, int]


def write_patches(
    path: Path,
    *,
    coords_xy: np.ndarray,
    patch_size_level0: int,
    classes: list[tuple[str, Colour]],
    measurements: dict[str, np.ndarray],
) -> None:
    """Write a FeatureCollection with one closed square per patch, in the order given.

    Args:
        path: the file; written in place.
        coords_xy: ``[N, 2]`` integer top-left corners, level-0 pixels.
        patch_size_level0: side, level-0 pixels.
        classes: N names and colours.
        measurements: name -> ``[N]`` finite numbers.
    """
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * patch_size_level0
    rings = coords_xy[:, None, :] + corners  # [N, 5, 2]
    features: list[dict[str, Any]] = []
    for row, (ring, (name, colour)) in enumerate(zip(rings.tolist(), classes, strict=True)):
        properties: dict[str, Any] = {
            "objectType": "detection",
            "classification": {"name": name, "color": list(colour)},
        }
        if measurements:
            properties["measurements"] = {key: float(values[row]) for key, values in measurements.items()}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection, allow_nan=False), encoding="utf-8")
