import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image, ImageDraw

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pictures.overlay import CAPTION_PX, GRID, OUTLINE
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.coord_files import PatchSet, read_coords
from pathplugins.data_tools.tiling.geometry import tissue_fraction
from pathplugins.data_tools.tiling.one_slide import find_tissue, patch_slide
from pathplugins.data_tools.tiling.spec import TilingSpec

pytest.importorskip("openslide")


def patch(slide: Path, out: Path, **spec: float) -> PatchSet:
    outcome = patch_slide(slide, out, TilingSpec(**spec))
    patches = read_coords(out / "coords" / f"{slide.stem}.h5")
    assert (outcome.status, outcome.patches) == ("done", len(patches.coords_xy))
    return patches


def test_patches_are_tissue_and_the_rest_is_not(slides_folder: Path, tmp_path: Path) -> None:
    slide_path = slides_folder / "b.svs"
    patches = patch(slide_path, tmp_path, patch_size=96)
    assert (patches.level0_width, patches.level0_height) == (1203, 1509)
    grid = {(x, y) for x in range(0, 1203 - 95, 96) for y in range(0, 1509 - 95, 96)}
    kept = {(x, y) for x, y in patches.coords_xy.tolist()}
    assert 40 < len(kept) < len(grid)
    with Slide(slide_path) as slide:
        stain = {box: np.ptp(slide.read(*box, (96, 96), (96, 96)), axis=-1).mean() for box in grid}  # colour
    assert min(stain[box] for box in kept) > 10 > max(stain[box] for box in grid - kept) / 2
    assert np.mean([stain[box] for box in kept]) > 5 * np.mean([stain[box] for box in grid - kept])


def test_a_sharper_slide_gives_larger_level0_patches(sharp_slide: Path, tmp_path: Path) -> None:
    patches = patch(sharp_slide, tmp_path, patch_size=100)
    assert (patches.patch_size, patches.patch_size_level0, patches.mpp, patches.level0_mpp) == (100, 200, 0.5, 0.25)
    assert (patches.level0_magnification, patches.target_magnification) == (40, 20)
    assert (patches.coords_xy % 200 == 0).all()
    assert (patches.coords_xy % 400 != 0).any()


def test_min_tissue_is_the_threshold(slides_folder: Path, tmp_path: Path) -> None:
    slide_path = slides_folder / "a.svs"
    everything = patch(slide_path, tmp_path / "0", patch_size=80, min_tissue=0.0)
    with Slide(slide_path) as slide:
        mask = find_tissue(slide, 0.5, TilingSpec()).mask
    assert mask.shape == (125, 176)
    fraction = tissue_fraction(mask, (1411, 1003), everything.coords_xy, 80)
    assert len(everything.coords_xy) == 17 * 12
    for threshold in (0.1, 0.6, 1.0):
        kept = patch(slide_path, tmp_path / str(threshold), patch_size=80, min_tissue=threshold)
        assert np.array_equal(kept.coords_xy, everything.coords_xy[fraction >= threshold])
    assert len(kept.coords_xy) > 5  # wholly tissue


def test_overlay_shows_grid_and_outline(slides_folder: Path, tmp_path: Path) -> None:
    patches = patch(slides_folder / "a.svs", tmp_path, patch_size=200)
    overlay = np.asarray(Image.open(tmp_path / "overlays" / "a.png"))
    assert overlay.shape == (1003 + CAPTION_PX, 1411, 3)
    for x, y in patches.coords_xy.tolist():
        assert (overlay[y, x : x + 200] == GRID).all()
        assert (overlay[y : y + 200, x + 199] == GRID).all()
    assert (overlay == GRID).all(axis=-1).sum() <= len(patches.coords_xy) * 4 * 200
    assert 500 < (overlay == OUTLINE).all(axis=-1).sum() < 50_000
    assert (overlay[1003:].min(axis=-1) < 60).sum() > 300  # the caption


def test_a_resolution_given_later_redoes_no_slide_that_records_its_own(slides_folder: Path, tmp_path: Path) -> None:
    patch(slides_folder / "a.svs", tmp_path / "out", patch_size=96)
    made = (tmp_path / "out" / "coords" / "a.h5").read_bytes()
    later = TilingSpec(patch_size=96, slide_mpp=0.25)
    assert patch_slide(slides_folder / "a.svs", tmp_path / "out", later).status == "skipped"
    (tmp_path / "out" / "overlays" / "a.png").unlink()
    assert patch_slide(slides_folder / "a.svs", tmp_path / "out", later).status == "done"
    assert (tmp_path / "out" / "coords" / "a.h5").read_bytes() == made


def test_another_resolution_for_a_slide_that_records_none_is_another_setting(
    slides_folder: Path, tmp_path: Path
) -> None:
    with Slide(slides_folder / "a.svs") as slide:
        Image.fromarray(slide.read(0, 0, (1411, 1003), (1411, 1003))).save(tmp_path / "bare.png")
    patch(tmp_path / "bare.png", tmp_path / "out", patch_size=96, slide_mpp=0.5)
    for other in (0.25, None):
        with pytest.raises(PathPluginsError, match=r"made with slide_mpp 0\.5; .* --overwrite"):
            patch_slide(tmp_path / "bare.png", tmp_path / "out", TilingSpec(patch_size=96, slide_mpp=other))


def test_no_tissue_and_too_small_are_errors(tmp_path: Path) -> None:
    Image.new("RGB", (700, 500), (243, 242, 244)).save(tmp_path / "blank.png")
    with pytest.raises(PathPluginsError, match=r"blank\.png.*no tissue found"):
        patch_slide(tmp_path / "blank.png", tmp_path / "out", TilingSpec(slide_mpp=0.5))
    with pytest.raises(PathPluginsError, match=r"700 x 500 pixels are less than one patch of 512"):
        patch_slide(tmp_path / "blank.png", tmp_path / "out", TilingSpec(slide_mpp=0.25))
    assert not list((tmp_path / "out").rglob("*.*"))


def test_tissue_as_geojson(slides_folder: Path, tmp_path: Path) -> None:
    """Polygons in level-0 pixels that cover what the mask covers."""
    patch(slides_folder / "b.svs", tmp_path, patch_size=96)
    features = json.loads((tmp_path / "geojson" / "b.geojson").read_text())["features"]
    drawn = Image.new("L", (1203, 1509))
    for feature in features:
        outline, *holes = feature["geometry"]["coordinates"]
        ImageDraw.Draw(drawn).polygon([tuple(point) for point in outline], fill=1)
        for hole in holes:
            ImageDraw.Draw(drawn).polygon([tuple(point) for point in hole], fill=0)
    with Slide(slides_folder / "b.svs") as slide:
        mask = find_tissue(slide, 0.5, TilingSpec()).mask
    wanted = np.asarray(Image.fromarray(mask).resize((1203, 1509)))
    assert 0.2 < wanted.mean() < 0.8
    assert (np.asarray(drawn, bool) != wanted).mean() < 0.02
    assert (tmp_path / "geojson" / "b.geojson").stat().st_size < 20_000


def test_a_missing_output_is_made_again(slides_folder: Path, tmp_path: Path) -> None:
    spec = TilingSpec(patch_size=200)
    for gone in ("coords/a.h5", "overlays/a.png", "geojson/a.geojson"):
        assert patch_slide(slides_folder / "a.svs", tmp_path, spec).status == "done"
        assert patch_slide(slides_folder / "a.svs", tmp_path, spec).status == "skipped"
        (tmp_path / gone).unlink()


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({"patch_size": 100, "mpp": 0.25}, 0),
        ({"patch_size": 90, "mpp": 1.0}, 1),
        ({"patch_size": 100, "mpp": 0.5}, None),  # between levels 0 and 1
        ({"patch_size": 64, "mpp": 1.1}, None),
    ],
)
def test_clam_reads_the_same_patches(
    sharp_slide: Path, tmp_path: Path, options: dict[str, float], level: int | None
) -> None:
    """As its readers do: so many pixels of a level, nothing resized; not at all where no level is as sharp."""
    openslide = pytest.importorskip("openslide")
    patches = patch(sharp_slide, tmp_path, **options)
    with h5py.File(tmp_path / "coords" / "sharp.h5") as file:
        coords, attributes = file["coords"][:], dict(file["coords"].attrs)
    assert {"name", "save_path"} <= attributes.keys()
    if level is None:
        assert not {"patch_level", "downsample", "level_dim", "downsampled_level_dim"} & attributes.keys()
        return
    handle = openslide.OpenSlide(sharp_slide)
    assert attributes["patch_level"] == level
    assert tuple(attributes["level_dim"]) == handle.level_dimensions[level]
    assert tuple(attributes["downsampled_level_dim"]) == handle.level_dimensions[level]
    assert attributes["downsample"] == pytest.approx([handle.level_downsamples[level]] * 2, rel=0.01)
    side = int(attributes["patch_size"])
    with Slide(sharp_slide) as slide:
        for x, y in coords[::5].tolist():
            theirs = np.asarray(handle.read_region((x, y), level, (side, side)).convert("RGB"))
            extent = (patches.patch_size_level0, patches.patch_size_level0)
            assert np.array_equal(theirs, slide.read(x, y, extent, (side, side)))


def test_trident_reads_the_same_patches(sharp_slide: Path, tmp_path: Path) -> None:
    """As its readers do: the extent from the two magnifications."""
    patches = patch(sharp_slide, tmp_path, patch_size=100, overlap=20)
    with h5py.File(tmp_path / "coords" / "sharp.h5") as file:
        coords, attributes = file["coords"], dict(file["coords"].attrs)
        assert coords.dtype == np.int64
    whole = ("patch_size", "patch_size_level0", "overlap", "level0_width", "level0_height")
    assert all(isinstance(attributes[key], np.integer) for key in (*whole, "level0_magnification"))
    assert [int(attributes[key]) for key in whole] == [100, 200, 20, 1537, 1157]
    assert (attributes["level0_magnification"], attributes["target_magnification"]) == (40, 20)
    extent = attributes["patch_size"] * attributes["level0_magnification"] // attributes["target_magnification"]
    assert extent == attributes["patch_size_level0"] == patches.patch_size_level0
    assert (attributes["name"], attributes["savetodir"]) == ("sharp", str(tmp_path / "coords"))


def test_an_override_says_what_the_slide_does_not(slides_folder: Path, tmp_path: Path) -> None:
    patches = patch(slides_folder / "a.svs", tmp_path, patch_size=64, override_mpp=0.25)
    assert (patches.level0_mpp, patches.patch_size_level0) == (0.25, 128)


def test_real_slide(real_slide: Path, tmp_path: Path) -> None:
    patches = patch(real_slide, tmp_path)
    assert (patches.mpp, patches.patch_size_level0, patches.level0_magnification) == (0.499, 256, 20)
    assert 35 <= len(patches.coords_xy) <= 45
    x, y = patches.coords_xy.T
    assert x.min() >= 512
    assert x.max() <= 1792  # the tissue is a strip in the middle
    assert y.min() == 0
    assert y.max() == 2560
