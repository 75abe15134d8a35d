from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.coords import PatchSet, read_coords
from pathplugins.data_tools.grid import TilingSpec, tissue_fraction
from pathplugins.data_tools.overlay import CAPTION_PX, GRID, OUTLINE
from pathplugins.data_tools.patching import find_tissue, patch_slide
from pathplugins.data_tools.slides import Slide
from pathplugins.data_tools.tissue import TissueSpec

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
        mask = find_tissue(slide, 0.5, TissueSpec())
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


def test_no_tissue_and_too_small_are_errors(tmp_path: Path) -> None:
    Image.new("RGB", (700, 500), (243, 242, 244)).save(tmp_path / "blank.png")
    with pytest.raises(PathPluginsError, match=r"blank\.png.*no tissue found"):
        patch_slide(tmp_path / "blank.png", tmp_path / "out", TilingSpec(slide_mpp=0.5))
    with pytest.raises(PathPluginsError, match=r"700 x 500 pixels are less than one patch of 512"):
        patch_slide(tmp_path / "blank.png", tmp_path / "out", TilingSpec(slide_mpp=0.25))
    assert not list((tmp_path / "out").rglob("*.*"))


def test_real_slide(real_slide: Path, tmp_path: Path) -> None:
    patches = patch(real_slide, tmp_path)
    assert (patches.mpp, patches.patch_size_level0, patches.level0_magnification) == (0.499, 256, 20)
    assert 35 <= len(patches.coords_xy) <= 45
    x, y = patches.coords_xy.T
    assert x.min() >= 512
    assert x.max() <= 1792  # the tissue is a strip in the middle
    assert y.min() == 0
    assert y.max() == 2560
