import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.geometry import tissue_fraction
from pathplugins.data_tools.tiling.spec import TilingSpec
from pathplugins.data_tools.tissue.geojson import write_tissue
from pathplugins.data_tools.tissue.own_mask import OwnMask, find_masks, load_mask

SIZE = (1411, 1003)  # of a.svs
SHAPE = (125, 176)  # of its mask
SQUARE = [[100, 200], [500, 200], [500, 600], [100, 600], [100, 200]]
HOLE = [[200, 300], [300, 300], [300, 400], [200, 400], [200, 300]]
OTHER = [[800, 100], [1300, 100], [1300, 900], [800, 900], [800, 100]]


def feature(kind: str, coordinates: Any, classification: Any = None) -> dict[str, Any]:
    properties = {"objectType": "annotation"} | ({} if classification is None else {"classification": classification})
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def loaded(path: Path, class_name: str | None = None) -> np.ndarray:
    (own,) = find_masks(path, [Path("a.svs")], class_name).values()
    return load_mask(own, SIZE, SHAPE).mask


def wanted(*boxes: tuple[int, int, int, int], holes: tuple[tuple[int, int, int, int], ...] = ()) -> np.ndarray:
    """Pixels of the mask whose centres are in the boxes (left, top, right, bottom), level-0 pixels."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    x, y = x * SIZE[0] / SHAPE[1], y * SIZE[1] / SHAPE[0]

    def inside(box: tuple[int, int, int, int]) -> np.ndarray:
        return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])

    mask = np.any([inside(box) for box in boxes], axis=0)
    return mask & ~np.any([inside(box) for box in holes], axis=0) if holes else mask


A, B, H = (100, 200, 500, 600), (800, 100, 1300, 900), (200, 300, 300, 400)


@pytest.mark.parametrize("wrap", ["collection", "list", "feature", "geometries"])
def test_geojson_of_every_shape(tmp_path: Path, wrap: str) -> None:
    content: Any = {
        "collection": {
            "type": "FeatureCollection",
            "features": [feature("Polygon", [SQUARE, HOLE]), feature("Polygon", [OTHER])],
        },
        "list": [feature("MultiPolygon", [[SQUARE, HOLE], [OTHER]]), feature("Point", [7, 7])],
        "feature": feature("MultiPolygon", [[SQUARE, HOLE], [OTHER]]),
        "geometries": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "coordinates": [OTHER]},
                {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
            ],
        },
    }[wrap]
    assert np.array_equal(loaded(saved(tmp_path / "a.geojson", content)), wanted(A, B, holes=(H,)))


def test_a_hole_is_of_its_polygon_only(tmp_path: Path) -> None:
    """Whatever comes first, another polygon over the hole fills it."""
    inner = [[150, 250], [350, 250], [350, 450], [150, 450], [150, 250]]
    for number, order in enumerate(([[SQUARE, HOLE], [inner]], [[inner], [SQUARE, HOLE]])):
        path = saved(tmp_path / f"{number}.geojson", feature("MultiPolygon", order))
        assert np.array_equal(loaded(path), wanted(A))


def test_classes_choose(tmp_path: Path) -> None:
    content = [
        feature("Polygon", [SQUARE], {"name": "Tumor", "color": [200, 0, 0]}),
        feature("Polygon", [OTHER], {"names": ["Tumor", "Necrosis"]}),
        feature("Polygon", [HOLE], "stroma"),
    ]
    path = saved(tmp_path / "a.geojson", content)
    assert np.array_equal(loaded(path, "tumor"), wanted(A))
    assert np.array_equal(loaded(path, "Tumor: Necrosis"), wanted(B))
    assert np.array_equal(loaded(path, "Stroma"), wanted(H))
    assert np.array_equal(loaded(path), wanted(A, B))
    with pytest.raises(
        PathPluginsError, match=r"no polygons of class gland; it has Tumor, Tumor: Necrosis, stroma: pass one of"
    ):
        loaded(path, "gland")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not GeoJSON"),
        ("{}", "not GeoJSON"),
        ({"type": "FeatureCollection"}, "not GeoJSON"),
        (feature("Polygon", [["a", "b"]]), "not GeoJSON"),
        ({"type": "FeatureCollection", "features": []}, "no polygons at all"),
        (feature("LineString", SQUARE), "no polygons at all"),
        (feature("Polygon", []), "no polygons at all"),
        (feature("MultiPolygon", [[[]]]), "no polygons at all"),
        (feature("Polygon", [[[0, 0], [float("nan"), 5], [9, 9]]]), "level-0 pixels"),
        (feature("Polygon", [[[9e5, 0], [9e5, 9e5], [0, 9e5], [9e5, 0]]]), "level-0 pixels"),
    ],
)
def test_geojson_that_is_none(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message) as error:
        loaded(saved(tmp_path / "a.geojson", content))
    assert "a.geojson" in str(error.value)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_images_not_zero_is_tissue(tmp_path: Path, mode: str, suffix: str) -> None:
    mask = np.zeros((100, 141), bool)
    mask[20:60, 30:100] = True
    image = Image.fromarray(mask.astype(np.uint16 if mode == "I;16" else np.uint8) * (255 if mode == "1" else 1))
    if mode == "P":
        image.putpalette([255, 255, 255, 0, 0, 0])  # the palette may say what it likes
    elif mode != "I;16":
        image = image.convert(mode)
    image.save(tmp_path / f"a{suffix}")
    assert np.array_equal(loaded(tmp_path / f"a{suffix}"), mask)


@pytest.mark.parametrize("value", [40, 255])
@pytest.mark.parametrize(("name", "options"), [("a.jpg", {"quality": 75}), ("a.tif", {"compression": "jpeg"})])
def test_jpeg_masks_have_no_ragged_edges(tmp_path: Path, value: int, name: str, options: dict[str, Any]) -> None:
    mask = np.zeros((100, 141), bool)
    mask[20:60, 30:100] = True
    for mode in ("L", "RGB"):
        Image.fromarray(mask.astype(np.uint8) * value).convert(mode).save(tmp_path / name, **options)
        assert np.asarray(Image.open(tmp_path / name)).any(axis=-1 if mode == "RGB" else ()).sum() > mask.sum()
        assert (loaded(tmp_path / name) != mask).mean() < 0.003
    Image.new("L", (141, 100), 0).save(tmp_path / name, **options)
    assert not loaded(tmp_path / name).any()


def test_images_of_more_pixels_are_reduced(tmp_path: Path) -> None:
    full = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    full[200:600, 100:500] = 3
    Image.fromarray(full).save(tmp_path / "a_mask.png")
    mask = loaded(tmp_path)
    assert mask.shape == SHAPE
    assert (mask != wanted(A)).mean() < 0.002


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    for size, good in (((141, 100), True), ((142, 100), True), ((145, 100), False), ((100, 141), False)):
        Image.new("L", size, 1).save(tmp_path / "a.png")
        if good:
            assert loaded(tmp_path / "a.png").all()
        else:
            with pytest.raises(PathPluginsError, match=rf"a\.png: {size[0]} x {size[1]} pixels but its slide is 1411"):
                loaded(tmp_path / "a.png")
    saved(tmp_path / "a.png", "no image")
    with pytest.raises(PathPluginsError, match=r"a\.png: not a readable mask image"):
        loaded(tmp_path / "a.png")


def test_missing_and_double_masks_are_reported_together(tmp_path: Path) -> None:
    slides = [Path(f"{name}.svs") for name in ("a", "b", "c.1", "d")]
    Image.new("L", (7, 5), 1).save(tmp_path / "a.png")
    Image.new("L", (7, 5), 1).save(tmp_path / "c.1_mask.tif")
    saved(tmp_path / "a.geojson", feature("Polygon", [SQUARE]))
    with pytest.raises(PathPluginsError) as error:
        find_masks(tmp_path, slides)
    for words in ("3 of 4 slides", "a: a.png and a.geojson", "b: none", "d: none", "a_mask.geojson", "process to 0"):
        assert words in str(error.value), words
    assert [own.path.name for own in find_masks(tmp_path, [slides[2]]).values()] == ["c.1_mask.tif"]
    with pytest.raises(PathPluginsError, match="one file but there are 4 slides"):
        find_masks(tmp_path / "a.png", slides)
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        find_masks(tmp_path / "nowhere", slides)
    with pytest.raises(PathPluginsError, match="has no classes"):
        find_masks(tmp_path / "a.png", slides[:1], "tumour")
    with pytest.raises(PathPluginsError, match=r"a mask is one of \.png"):
        find_masks(saved(tmp_path / "a.txt", "no"), slides[:1])


def test_a_mask_that_changes_meanwhile(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.geojson", feature("Polygon", [SQUARE]))
    (own,) = find_masks(path, [Path("a.svs")]).values()
    saved(path, feature("Polygon", [OTHER]))
    with pytest.raises(PathPluginsError, match="changed while"):
        load_mask(own, SIZE, SHAPE)


def test_our_own_tissue_can_be_edited_and_given_back(tmp_path: Path) -> None:
    mask = wanted(A, B, holes=(H,))
    write_tissue(tmp_path / "a.geojson", mask, SIZE)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [len(f["geometry"]["coordinates"]) for f in features] == [1, 2]
    for one in features:
        assert one["properties"]["objectType"] == "annotation"
        assert one["properties"]["classification"] == {"name": "Tissue", "color": [0, 140, 70]}
        for ring in one["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert all(isinstance(number, int) for point in ring for number in point)
    assert np.array_equal(loaded(tmp_path), mask)
    assert np.array_equal(loaded(tmp_path, "tissue"), mask)


def test_patches_follow_the_mask(pathdata: Callable[..., tuple[int, str]], slides_folder: Path, tmp_path: Path) -> None:
    """A mask counts by its content: moved, it changes nothing; changed, it needs --overwrite."""
    pytest.importorskip("openslide")
    masks, out = tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    saved(masks / "a.geojson", feature("Polygon", [SQUARE, HOLE], {"name": "tumour"}))
    command = ("patch", slides_folder / "a.svs", "--out", out, "--patch-size", 50)
    assert pathdata(*command, "--mask", masks, "--mask-class", "tumour")[0] == 0
    patches = read_coords(out / "coords" / "a.h5")
    grid = np.array([(x, y) for y in range(0, 1003 - 49, 50) for x in range(0, 1411 - 49, 50)])
    fraction = tissue_fraction(wanted(A, holes=(H,)), SIZE, grid, 50)
    assert np.array_equal(patches.coords_xy, grid[fraction >= 0.25])
    assert patches.mask == str(masks / "a.geojson")
    masks.rename(tmp_path / "moved")
    code, said = pathdata(*command, "--mask", tmp_path / "moved" / "a.geojson", "--mask-class", "tumour")
    assert code == 0
    assert "exists already" in said
    saved(tmp_path / "moved" / "a.geojson", feature("Polygon", [OTHER], {"name": "tumour"}))
    code, said = pathdata(*command, "--mask", tmp_path / "moved", "--mask-class", "tumour")
    assert code == 1
    assert "--overwrite" in said
    code, said = pathdata("patch", slides_folder, "--out", out, "--mask", tmp_path / "moved")
    assert code == 2
    assert "b: none" in said


def test_a_mask_without_anything_in_it_is_named(slides_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    from pathplugins.data_tools.tiling.one_slide import patch_slide

    Image.new("L", (141, 100), 0).save(tmp_path / "a.png")
    (own,) = find_masks(tmp_path, [slides_folder / "a.svs"]).values()
    with pytest.raises(PathPluginsError, match=r"no tissue found.*look at the mask .*a\.png, then"):
        patch_slide(slides_folder / "a.svs", tmp_path / "out", TilingSpec(mask=own))


def test_settings_have_the_content_not_the_path() -> None:
    one, same, other = (OwnMask(path=Path(p), sha256=s) for p, s in (("a", "1"), ("b", "1"), ("a", "2")))
    assert TilingSpec(mask=one).fingerprint() == TilingSpec(mask=same).fingerprint()
    classed = OwnMask(path=Path("a"), sha256="1", class_name="tumour")
    assert len({TilingSpec(mask=m).fingerprint() for m in (None, one, other, classed)}) == 4
