"""GeoJSON for QuPath: closed rings in level-0 pixels, holes cut out, measurements as a map."""

import json
from pathlib import Path

import numpy as np
import pytest

from pathplugins.data_tools.tissue.geojson import TISSUE, write_boxes, write_patches, write_tissue


def features(path: Path) -> list[dict]:
    collection = json.loads(path.read_text())
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def test_tissue_is_annotations_with_holes_at_level_0(tmp_path: Path) -> None:
    mask = np.zeros((9, 14), bool)
    mask[1:8, 2:10] = True
    mask[3:5, 4:7] = False
    write_tissue(tmp_path / "t.geojson", mask, (140, 45))  # 10 x 5 level-0 pixels per pixel of the mask
    (tissue,) = features(tmp_path / "t.geojson")
    name, colour = TISSUE
    assert tissue["properties"]["objectType"] == "annotation"
    assert tissue["properties"]["classification"] == {"name": name, "color": list(colour)}
    outline, hole = tissue["geometry"]["coordinates"]
    assert outline[0] == outline[-1]
    assert hole[0] == hole[-1]
    assert {tuple(point) for point in outline} == {(20, 5), (100, 5), (100, 40), (20, 40)}
    assert {tuple(point) for point in hole} == {(40, 15), (70, 15), (70, 25), (40, 25)}


def test_patches_are_detections_with_measurements(tmp_path: Path) -> None:
    write_patches(
        tmp_path / "p.geojson",
        coords_xy=np.array([[7, 300], [40, 2]]),
        patch_size_level0=50,
        classes=[("kept", (1, 2, 3)), ("not kept", (4, 5, 6))],
        measurements={"cosine": np.array([0.25, -1.0])},
    )
    first, second = features(tmp_path / "p.geojson")
    assert first["geometry"]["coordinates"] == [[[7, 300], [57, 300], [57, 350], [7, 350], [7, 300]]]
    assert first["properties"] == {
        "objectType": "detection",
        "classification": {"name": "kept", "color": [1, 2, 3]},
        "measurements": {"cosine": 0.25},
    }
    assert second["properties"]["measurements"] == {"cosine": -1.0}
    write_patches(
        tmp_path / "p.geojson",
        coords_xy=np.array([[0, 0]]),
        patch_size_level0=5,
        classes=[("a", (0, 0, 0))],
        measurements={},
    )
    assert "measurements" not in features(tmp_path / "p.geojson")[0]["properties"]


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_patches(
            tmp_path / "p.geojson",
            coords_xy=np.array([[0, 0]]),
            patch_size_level0=5,
            classes=[("a", (0, 0, 0))],
            measurements={"x": np.array([np.nan])},
        )


def test_boxes_have_any_shape_and_a_measurement_or_none(tmp_path: Path) -> None:
    boxes = np.array([[3.5, 2, 10, 4], [20, 30, 1, 2.25]])
    write_boxes(
        tmp_path / "b.geojson",
        boxes=boxes,
        classes=[("a", (1, 2, 3))] * 2,
        measurements={"x": [None, 0.5], "y": [1, 2]},
    )
    one, other = json.loads((tmp_path / "b.geojson").read_text())["features"]
    assert one["geometry"]["coordinates"] == [[[3.5, 2], [13.5, 2], [13.5, 6], [3.5, 6], [3.5, 2]]]
    assert other["geometry"]["coordinates"][0][2] == [21, 32.25]
    assert [each["properties"]["measurements"] for each in (one, other)] == [{"y": 1}, {"x": 0.5, "y": 2}]
