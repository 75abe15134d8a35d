import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pictures.colour_scale import HEAT, VIRIDIS
from pathplugins.data_tools.pictures.heat_map import draw_selection
from pathplugins.data_tools.pictures.legend import KEPT, NOT_KEPT, SHADE, TINT

SIDE = 40
COORDS = np.array([(x, y) for y in range(0, 120, SIDE) for x in range(0, 200, SIDE)])  # 5 x 3
KEEP = np.isin(np.arange(15), (2, 7, 14))
WORDS = {"patch_size_level0": SIDE, "score_name": "cosine", "title": "a mode"}


def draw(out: Path, **changes: Any) -> tuple[np.ndarray, list[dict[str, Any]]]:
    options = {"coords_xy": COORDS, "kept": KEEP, "scores": None, "level0_mpp": 0.5, "slide": None, **WORDS, **changes}
    png, geojson = draw_selection(out / "picture.png", **options)
    assert sorted(out.iterdir()) == [geojson, png]
    assert geojson == out / "picture.geojson"
    return np.asarray(Image.open(png)), json.loads(geojson.read_text())["features"]


def over(colour: Any, strength: float, under: float = 255) -> np.ndarray:
    return np.round(np.array(colour) * strength + under * (1 - strength))


def near(pixels: np.ndarray, colour: Any) -> bool:
    return bool((np.abs(pixels.astype(int) - np.asarray(colour)) <= 2).all())


def is_kept(picture: np.ndarray, x: int, y: int) -> bool:
    """A red outline on all four sides of the patch at (x, y) of the picture."""
    edges = [picture[y, x : x + SIDE], picture[y + SIDE - 1, x : x + SIDE], picture[y : y + SIDE, x]]
    return all((edge == KEPT).all() for edge in [*edges, picture[y : y + SIDE, x + SIDE - 1]])


def test_without_scores_patches_are_kept_or_not(tmp_path: Path) -> None:
    """On a blank canvas that starts one patch before the first."""
    picture, _ = draw(tmp_path)
    assert picture.shape[1] == 900  # the text needs it
    assert (picture[: 5 * SIDE, 7 * SIDE :] == 255).all()
    for (x, y), kept in zip((COORDS + SIDE).tolist(), KEEP, strict=True):
        assert is_kept(picture, x, y) == kept
        middle = picture[y + 15 : y + 25, x + 15 : x + 25]
        assert near(middle, over(KEPT, TINT) if kept else over(NOT_KEPT, SHADE))
    assert (picture[5 * SIDE :].min(axis=-1) < 60).sum() > 300  # words and scale bar


@pytest.mark.parametrize("power", [1.0, 1e-6])
def test_colours_rise_with_the_scores(tmp_path: Path, power: float) -> None:
    """From the lowest to the highest, negative or tiny."""
    scores = (np.arange(15.0) - 7) * power
    picture, features = draw(tmp_path, scores=scores)
    middles = [picture[y + 20, x + 20] for x, y in (COORDS + SIDE).tolist()]
    assert near(middles[0], over(VIRIDIS[0], HEAT))
    assert near(middles[14], over(VIRIDIS[9], HEAT))
    assert near(middles[7], over((VIRIDIS[4] + VIRIDIS[5]) / 2, HEAT))
    brightness = np.array(middles) @ (0.299, 0.587, 0.114)
    assert (np.diff(brightness) > 0).all()
    assert [feature["properties"]["measurements"]["cosine"] for feature in features] == pytest.approx(scores)


def test_one_outlier_does_not_take_all_colours(tmp_path: Path) -> None:
    coords = np.array([(x, 0) for x in range(0, 40 * SIDE, SIDE)])
    scores = np.arange(40.0)
    scores[11] = 1e6
    picture, _ = draw(tmp_path, coords_xy=coords, kept=scores > 35, scores=scores)
    left, right = picture[SIDE + 20, 2 * SIDE + 20], picture[SIDE + 20, 40 * SIDE + 20]
    assert near(left, over(VIRIDIS[0], HEAT))
    assert near(right, over(VIRIDIS[9], HEAT))  # the second highest, where the colours end
    assert near(picture[SIDE + 20, 12 * SIDE + 20], over(VIRIDIS[9], HEAT))


def test_equal_scores_are_one_colour(tmp_path: Path) -> None:
    picture, _ = draw(tmp_path, scores=np.full(15, -0.25, np.float32), kept=np.zeros(15, bool))
    block = picture[SIDE : 4 * SIDE, SIDE : 6 * SIDE]
    assert near(block, over((VIRIDIS[4] + VIRIDIS[5]) / 2, HEAT))


def test_geojson_has_a_closed_square_for_every_patch(tmp_path: Path) -> None:
    _, features = draw(tmp_path, coords_xy=COORDS + np.array([1000, 30]))
    assert len(features) == 15
    first, third = features[0], features[2]
    ring = [[1000, 30], [1040, 30], [1040, 70], [1000, 70], [1000, 30]]
    assert first["geometry"] == {"type": "Polygon", "coordinates": [ring]}
    assert first["properties"] == {
        "objectType": "detection",
        "classification": {"name": "not kept", "color": list(NOT_KEPT)},
    }
    assert third["properties"]["classification"] == {"name": "kept", "color": list(KEPT)}


def test_overlapping_patches_show_the_kept_ones(tmp_path: Path) -> None:
    coords = np.array([[0, 0], [20, 0], [40, 0]])
    picture, _ = draw(tmp_path, coords_xy=coords, kept=np.array([True, False, False]), scores=np.array([1.0, 5, 9]))
    assert is_kept(picture, SIDE, SIDE)
    assert near(picture[SIDE + 20, SIDE + 30], over(VIRIDIS[0], HEAT))


def test_on_a_slide_kept_patches_are_clear_and_the_rest_is_faded(tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    Image.new("RGB", (1300, 950), (100, 0, 200)).save(tmp_path / "slide.png")
    out = tmp_path / "out"
    out.mkdir()
    picture, _ = draw(out, slide=tmp_path / "slide.png", coords_xy=COORDS + np.array([600, 80]))
    assert picture.shape[1] == 1300
    assert is_kept(picture, 600 + 2 * SIDE, 80)
    slide, faded = np.array((100, 0, 200)), over((100, 0, 200), 0.4)
    assert near(picture[500, 500], faded)
    assert near(picture[100, 620], over(NOT_KEPT, SHADE, faded))
    assert near(picture[100, 700], over(KEPT, TINT, slide))


def test_long_text_is_broken_into_lines(tmp_path: Path) -> None:
    short, _ = draw(tmp_path)
    long, _ = draw(tmp_path, title="is there " * 8 + "x" * 120)
    longest, _ = draw(tmp_path, title="is there necrosis " * 200)
    assert short.shape[0] < long.shape[0] < longest.shape[0] < short.shape[0] + 100
    assert (long[5 * SIDE :, -12:] == 255).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size_level0": 0}, "patches of 0 level-0 pixels cannot be drawn"),
        ({"scores": np.where(KEEP, np.nan, 1.0)}, "3 of 15 patch scores are NaN or infinite"),
        ({"slide": Path("absent.svs")}, r"absent\.svs: no such slide file"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    if "slide" in changes:
        pytest.importorskip("openslide")
    with pytest.raises(PathPluginsError, match=message):
        draw(tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    options = {"coords_xy": COORDS, "kept": KEEP, "scores": None, "level0_mpp": None, "slide": None, **WORDS}
    with pytest.raises(PathPluginsError, match=r"picture\.geojson: the picture is a PNG"):
        draw_selection(tmp_path / "picture.geojson", **options)
    with pytest.raises(ValueError, match=r"scores \(14,\)"):
        draw_selection(tmp_path / "picture.png", **{**options, "scores": np.zeros(14)})


def test_the_bag_of_another_slide_is_refused(tmp_path: Path) -> None:
    """Patches that start inside and reach beyond the edge are drawn: some tools pad the last patches."""
    pytest.importorskip("openslide")
    Image.new("RGB", (170, 110)).save(tmp_path / "slide.png")
    Image.new("RGB", (160, 81)).save(tmp_path / "small.png")
    (tmp_path / "out").mkdir()
    draw(tmp_path / "out", slide=tmp_path / "slide.png")
    with pytest.raises(
        PathPluginsError, match=r"small\.png is 160 x 81 pixels but 3 of 15 .*\[160, 0\].*another slide"
    ):
        draw(tmp_path / "other", slide=tmp_path / "small.png")


def test_real_slide(real_slide: Path, tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    coords = np.array([(x, y) for y in range(0, 2560, 256) for x in range(512, 1792, 256)])
    scores = -np.linalg.norm(coords - (1024, 1400), axis=1)
    picture, features = draw(
        tmp_path,
        coords_xy=coords,
        patch_size_level0=256,
        scores=scores,
        kept=scores > -600,
        slide=real_slide,
        level0_mpp=0.499,
    )
    assert picture.shape[1] == 1532
    names = [feature["properties"]["classification"]["name"] for feature in features]
    assert names.count("kept") == (scores > -600).sum() > 5
    assert (picture == KEPT).all(axis=-1).sum() > 1000
