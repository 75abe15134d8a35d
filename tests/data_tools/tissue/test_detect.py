import numpy as np
import pytest
from PIL import Image, ImageFilter

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tissue.detect import TissueSpec, detect_tissue, median3, tissue_mask

GLASS, STAIN = (243, 242, 244), (205, 130, 180)


def picture(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Glass with boxes (left, top, right, bottom) of stain, and noise on both."""
    w, h = size
    rgb = np.full((h, w, 3), GLASS, np.int64)
    for left, top, right, bottom in boxes:
        rgb[top:bottom, left:right] = STAIN
    return np.clip(rgb + np.random.default_rng(0).integers(-2, 3, rgb.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(160, 96), (97, 161)], ids=str)
def test_mask_follows_the_stain(size: tuple[int, int]) -> None:
    mask = tissue_mask(picture(size, (20, 30, 80, 90)), 4.0, TissueSpec())
    wanted = np.zeros(size[::-1], bool)
    wanted[30:90, 20:80] = True
    assert (mask != wanted).mean() < 0.01
    assert mask[60, [20, 79]].all()  # straight edges stay where they are
    assert not mask[60, [18, 81]].any()


def test_a_slide_that_is_all_tissue_or_all_glass() -> None:
    assert tissue_mask(picture((90, 70), (0, 0, 90, 70)), 4.0, TissueSpec()).all()
    assert not tissue_mask(picture((90, 70)), 4.0, TissueSpec()).any()


def test_specks_go_and_gaps_close_by_size_in_microns() -> None:
    rgb = picture((200, 120), (20, 20, 100, 100), (150, 50, 154, 54))
    rgb[20:100, 58:62] = GLASS  # a tear of 16 um
    rgb[60:66, 30:36] = GLASS  # a hole of 24 um
    rgb[30:90, 64:98] = GLASS  # a lumen of 136 x 240 um
    mask = tissue_mask(rgb, 4.0, TissueSpec())
    assert not mask[45:60, 145:160].any()
    assert mask[60:66, 30:36].all()
    assert mask[28:92, 58:62].mean() > 0.9
    assert not mask[50:70, 75:90].any()
    finer = tissue_mask(rgb, 16.0, TissueSpec())  # the same pixels, four times as large
    assert not finer[50:70, 59:61].any()


def test_black_borders_are_not_tissue() -> None:
    rgb = picture((120, 80), (30, 20, 90, 60))
    rgb[:, :15] = (14, 4, 10)
    assert not tissue_mask(rgb, 4.0, TissueSpec())[:, :15].any()


def test_black_outside_takes_no_tissue_along_and_ink_does() -> None:
    """What was not scanned ends at once; beside a black pen there is the blur of its edge."""
    for black, kept in (((2, 3, 2), True), ((52, 50, 54), False)):
        rgb = picture((160, 120), (20, 20, 110, 100))
        rgb[:, 70:] = black
        found = detect_tissue(rgb, 4.0, TissueSpec())
        assert found.black[:, 71:].all()
        assert found.mask[30:90, 62:69].all() == kept
        assert found.mask[30:90, 22:50].all()


def test_median_is_that_of_the_neighbours() -> None:
    for shape in ((1, 1), (1, 9), (5, 3), (130, 71), (64, 65)):
        rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        assert np.array_equal(median3(rgb), np.asarray(Image.fromarray(rgb).filter(ImageFilter.MedianFilter(3))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_saturation": 60}, "min_saturation <= max_saturation"),
        ({"max_saturation": 256}, "max_saturation <= 255"),
        ({"min_value": -1}, "min_value"),
        ({"mpp": 0.0}, "above 0 um/px"),
        ({"close_um": -1.0}, "close_um"),
        ({"min_area_um2": float("nan")}, "min_area_um2"),
    ],
)
def test_spec_judges_itself(changes: dict[str, float], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        TissueSpec(**changes)
