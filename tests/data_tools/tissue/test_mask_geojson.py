"""Areas drawn in QuPath: which classes count, what is cut out, and where the file counts from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.data_tools.slides.bounds import Bounds
from pathplugins.data_tools.slides.slide import SlideError
from pathplugins.data_tools.tissue.mask_geojson import Drawn, draw_geojson

SIZE, SHAPE = (900, 700), (70, 90)  # of the slide (w, h), and of its mask (H, W): 10 pixels each
SCANNED = Bounds(400, 200, 450, 480)


def area(box: tuple[int, int, int, int], name: str | None = None) -> dict[str, Any]:
    """A rectangle (left, top, right, bottom)."""
    x0, y0, x1, y1 = box
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    properties = {} if name is None else {"classification": {"name": name}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def drawn(*features: dict[str, Any], class_name: str | None = None, **options: Any) -> Drawn:
    members = options.pop("members", {})
    content = json.dumps({"type": "FeatureCollection", **members, "features": features}).encode()
    return draw_geojson(Path("m.geojson"), content, class_name=class_name, size_px0=SIZE, shape=SHAPE, **options)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top // 10 : bottom // 10, left // 10 : right // 10] = True
    return mask


def test_what_qupath_ignores_is_cut_out_in_any_order_and_counted() -> None:
    tissue, hole = area((100, 100, 500, 600), "Tissue"), area((200, 300, 300, 500), "Ignore*")
    for features in ((tissue, hole), (hole, tissue)):
        mask, notes = drawn(*features)
        assert np.array_equal(mask, box(100, 100, 500, 600) & ~box(200, 300, 300, 500))
        assert notes == ("m.geojson: cut out: 1 of Ignore*",)


@pytest.mark.parametrize("name", ["ignore*", "Exclude", "hole", "Exclusion*"])
def test_other_names_for_it(name: str) -> None:
    mask, notes = drawn(area((100, 100, 500, 600), "Tumor"), area((200, 300, 300, 500), name), class_name="tumor")
    assert np.array_equal(mask, box(100, 100, 500, 600) & ~box(200, 300, 300, 500))
    assert notes == (f"m.geojson: cut out: 1 of {name}",)


def test_a_region_with_a_star_is_left_out_but_not_cut() -> None:
    region, tumour = area((0, 0, 900, 700), "Region*"), area((200, 300, 300, 500), "Tumor")
    assert np.array_equal(drawn(region, tumour).mask, box(200, 300, 300, 500))
    assert drawn(region, tumour).notes == ("m.geojson: left out: 1 of Region*",)
    assert drawn(region, tumour, class_name="Region*").mask.all()
    with pytest.raises(SlideError, match=r"classes that QuPath ignores; it has Region\*: pass one of its classes"):
        drawn(region)


def test_classes_that_are_not_taken_are_counted() -> None:
    line = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}, "properties": {}}
    tumour, others = area((200, 300, 300, 500), "Tumor"), [area((0, 0, 90, 90)), area((0, 0, 40, 40), "Stroma")]
    mask, notes = drawn(tumour, *others, *others[1:], line, class_name="TUMOR")
    assert np.array_equal(mask, box(200, 300, 300, 500))
    assert notes == ("m.geojson: left out: 1 of (no class), 2 of Stroma, 1 points or lines",)


def test_it_counts_from_the_scanned_part() -> None:
    one = area((50, 100, 250, 300))
    mask, notes = drawn(one, scanned=SCANNED)
    assert np.array_equal(mask, box(450, 300, 650, 500))
    assert "[400, 200], as QuPath does" in notes[0]
    assert np.array_equal(drawn(one).mask, box(50, 100, 250, 300))  # --mask-frame level0
    said = drawn(one, scanned=SCANNED, members={"origin_px0": [100, 100]})  # a file of ours says where
    assert np.array_equal(said.mask, box(150, 200, 350, 400))
    assert said.notes == ()


def test_a_file_that_counts_from_level_0_is_noticed() -> None:
    with pytest.raises(SlideError, match=r"1 of 2 polygons lie beyond the scanned area of 450 x 480.*level0"):
        drawn(area((50, 100, 250, 300)), area((420, 210, 700, 600)), scanned=SCANNED)


@pytest.mark.parametrize("content", [b"", b"[" * 5000, b'{"features": 1}', b"\xff"])
def test_what_is_no_geojson_is_an_error_that_names_the_file(content: bytes) -> None:
    with pytest.raises(SlideError, match=r"m\.geojson: not GeoJSON with polygons"):
        draw_geojson(Path("m.geojson"), content, class_name=None, size_px0=SIZE, shape=SHAPE)
