"""Grid: where the candidates of a slide lie."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.select.grid import SCALE, GridSpec, find_grid, region_boxes, region_grid
from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.slides.svs_writer import write_svs
from pathplugins.data_tools.tissue.own_mask import find_masks


def test_grid_starts_at_the_box_of_a_region_and_keeps_what_is_mostly_tissue() -> None:
    mask = np.zeros((40, 61), bool)
    mask[7:31, 5:47] = True
    found = region_grid(mask, 10, 10, 0.5)
    by_hand = [(x, y) for y in range(7, 31, 10) for x in range(5, 47, 10) if mask[y : y + 10, x : x + 10].sum() > 50]
    assert found.tolist() == [list(corner) for corner in by_hand]
    assert len(found) == 8  # the column of 2 px and the row of 4 px have less than half


def test_exactly_half_is_not_enough() -> None:
    mask = np.zeros((30, 30), bool)
    mask[0:10, 0:5] = True
    assert len(region_grid(mask, 10, 10, 0.5)) == 0
    assert region_grid(mask, 10, 10, 0.49).tolist() == [[0, 0]]


def test_overlap_makes_the_step_smaller() -> None:
    mask = np.ones((20, 30), bool)
    assert region_grid(mask, 10, 5, 0.99).tolist() == [[x, y] for y in range(0, 11, 5) for x in range(0, 21, 5)]


def test_boxes_that_overlap_cut_no_tissue_twice() -> None:
    mask = np.zeros((60, 60), bool)
    mask[0:50, 0:8] = mask[42:50, 0:50] = True  # an L, whose box holds
    mask[3:23, 21:43] = True  # a smaller region
    assert [box[:2] for box in region_boxes(mask)] == [(0, 0), (21, 3)]
    corners = region_grid(mask, 10, 10, 0.3)
    covered = np.zeros((70, 70), int)
    for x, y in corners.tolist():
        covered[y : y + 10, x : x + 10] += 1
    assert (covered > 1).sum() <= 0.1 * (covered > 0).sum()
    assert len({tuple(corner) for corner in corners.tolist()}) == len(corners)
    for i, (x, y) in enumerate(corners.tolist()):
        for other_x, other_y in corners[:i].tolist():
            assert max(0, 10 - abs(x - other_x)) * max(0, 10 - abs(y - other_y)) <= 50


def test_regions_are_ordered_by_their_size_and_join_at_corners_as_published() -> None:
    mask = np.zeros((12, 12), bool)
    mask[0:3, 0:3] = mask[4:10, 4:10] = True
    assert region_boxes(mask) == [(4, 4, 10, 10), (0, 0, 3, 3)]
    mask[3, 3] = mask[0, 11] = True
    assert region_boxes(mask) == [(0, 0, 10, 10), (11, 0, 12, 1)]
    anti = np.zeros((5, 7), bool)
    anti[0:2, 4:7] = anti[2:4, 1:4] = True
    assert region_boxes(anti) == [(1, 0, 7, 4)]
    assert region_boxes(np.zeros((4, 4), bool)) == []
    assert region_grid(np.zeros((4, 4), bool), 2, 2, 0.5).shape == (0, 2)


def test_positions_are_thumbnail_pixels_times_32_inside_the_slide(slides_folder: Path) -> None:
    with Slide(slides_folder / "a.svs") as slide:
        grid = find_grid(slide, GridSpec(patch_size=96))
        w, h = slide.size_px0
    assert len(grid.coords_xy) > 20
    assert (grid.coords_xy % SCALE == 0).all()
    assert (grid.coords_xy >= 0).all()
    assert (grid.coords_xy + 96 <= (w, h)).all()
    assert (grid.patch_size_level0, grid.mpp, grid.mpp_source) == (96, 0.5, "openslide.mpp-x")
    assert grid.coords_xy.tolist() == sorted(grid.coords_xy.tolist(), key=lambda xy: (xy[1], xy[0]))


def test_a_field_of_view_is_the_same_on_every_scan(sharp_slide: Path) -> None:
    with Slide(sharp_slide) as slide:
        grid = find_grid(slide, GridSpec(patch_size=64, mpp=0.5))
    assert (grid.patch_size, grid.patch_size_level0, grid.mpp, grid.level0_mpp) == (64, 128, 0.5, 0.25)
    steps = np.unique(np.diff(np.unique(grid.coords_xy[:, 0])))
    assert steps.min() <= 128


def test_sharper_than_the_slide_is_refused(slides_folder: Path) -> None:
    with Slide(slides_folder / "a.svs") as slide, pytest.raises(PathPluginsError, match="up-sampling"):
        find_grid(slide, GridSpec(patch_size=96, mpp=0.25))


def test_a_slide_without_resolution_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bare.png"
    Image.fromarray(paint((700, 611), seed=1, kind=KINDS[1], mpp=0.5)).save(path)
    with Slide(path) as slide:
        grid = find_grid(slide, GridSpec(patch_size=64))
        assert (grid.mpp, grid.level0_mpp, grid.mpp_source) == (None, None, "")
        assert "records no microns per pixel" in grid.notes[0]
        told = find_grid(slide, GridSpec(patch_size=64, slide_mpp=0.5))
        assert (told.mpp, told.mpp_source, told.notes) == (0.5, "--slide-mpp", ())
        with pytest.raises(PathPluginsError, match="--slide-mpp"):
            find_grid(slide, GridSpec(patch_size=64, mpp=1.0))


def test_no_tissue_is_an_error_that_names_the_slide(tmp_path: Path) -> None:
    path = tmp_path / "glass.svs"
    write_svs(path, [np.full((640, 800, 3), 245, np.uint8)], mpp=0.5, magnification=20)
    with Slide(path) as slide, pytest.raises(PathPluginsError, match=r"glass\.svs: no patch of 64 level-0 pixels"):
        find_grid(slide, GridSpec(patch_size=64))


@pytest.mark.parametrize(
    "options",
    [{"patch_size": 31}, {"overlap": 672}, {"overlap": -1}, {"min_tissue": 1.0}, {"mpp": 0.0}, {"slide_mpp": -1}],
)
def test_settings_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(PathPluginsError):
        GridSpec(**options)


def test_patches_that_reach_beyond_the_slide_are_left_out(tmp_path: Path) -> None:
    path, mask = tmp_path / "full.svs", tmp_path / "full.png"
    write_svs(path, [np.full((640, 704, 3), 180, np.uint8)], mpp=0.5, magnification=20)
    Image.new("L", (22, 20), 255).save(mask)  # tissue up to every border
    with Slide(path) as slide:
        grid = find_grid(slide, GridSpec(patch_size=192), find_masks(mask, [path])[path])
    assert grid.coords_xy.tolist() == [[x, y] for y in (0, 192, 384) for x in (0, 192, 384)]
