import numpy as np
import pytest
from drawn_stains import MPP, draw_slide

from pathplugins.data_tools.tissue.detect import TissueSpec, tissue_mask
from pathplugins.data_tools.tissue.threshold import beside_colour, otsu

GLASS = (243, 242, 244)


def section(*boxes: tuple[tuple[int, int, int], float, slice, slice]) -> np.ndarray:
    """Glass with boxes of a colour each, whose brightness varies from pixel to pixel by a share."""
    noise = np.random.default_rng(3)
    rgb = np.full((260, 330, 3), GLASS, np.float64)
    for colour, share, rows, columns in boxes:
        grain = 1 + share * noise.standard_normal(rgb[rows, columns].shape[:2])
        rgb[rows, columns] = np.array(colour) * grain.repeat(3).reshape(*grain.shape, 3)
    return np.clip(rgb + noise.integers(-2, 3, rgb.shape), 0, 255).astype(np.uint8)


STRONG = ((120, 60, 130), 0.08, slice(30, 110), slice(30, 120))
APART = (slice(150, 230), slice(180, 300))
BESIDE = (slice(30, 110), slice(120, 300))


def test_otsu_splits_two_groups() -> None:
    values = np.array([10] * 50 + [12] * 50 + [90] * 20 + [95] * 20, np.uint8)
    assert 12 <= otsu(values) < 90
    assert 30 < otsu(np.array([0, 100], np.uint8)) < 70


@pytest.mark.parametrize("where", [APART, BESIDE], ids=["apart", "beside"])
def test_pale_tissue_is_found_with_strong_tissue_on_the_slide(where: tuple[slice, slice]) -> None:
    rgb = section(STRONG, ((226, 205, 200), 0.04, *where))  # saturation 29
    mask = tissue_mask(rgb, MPP, TissueSpec())
    assert mask[where].mean() > 0.95
    assert mask[STRONG[2:]].mean() > 0.98
    assert mask.sum() < 1.1 * (90 * 80 + mask[where].size)


def test_haze_and_tinted_glass_are_no_tissue() -> None:
    """As pale as tissue, but smooth."""
    hazy = section(STRONG, ((230, 208, 218), 0.0, *BESIDE))
    mask = tissue_mask(hazy, MPP, TissueSpec())
    assert mask[30:110, 130:290].mean() < 0.02
    assert mask[STRONG[2:]].mean() > 0.95


def test_grey_tissue_counts_beside_coloured_tissue_and_dirt_elsewhere_does_not() -> None:
    grey = (205, 204, 206)
    beside = tissue_mask(section(STRONG, (grey, 0.05, *BESIDE)), MPP, TissueSpec())
    assert beside[BESIDE].mean() > 0.9
    dirty = section((STRONG[0], 0.08, slice(30, 150), slice(30, 300)), (grey, 0.05, slice(180, 230), slice(180, 240)))
    assert not tissue_mask(dirty, MPP, TissueSpec())[170:].any()
    assert tissue_mask(dirty, MPP, TissueSpec(stain="reticulin"))[185:225, 185:235].all()


def test_shadows_are_no_tissue() -> None:
    rgb = section(STRONG, ((190, 189, 191), 0.0, *BESIDE))
    assert not tissue_mask(rgb, MPP, TissueSpec())[:, 140:].any()


def test_a_piece_needs_some_colour() -> None:
    found = np.zeros((6, 40), bool)
    found[1:3, 2:10] = found[1:3, 20:38] = True
    coloured = np.zeros(found.shape)
    coloured[1:3, 10:13] = 1.0  # touches the first piece
    assert np.array_equal(beside_colour(found, coloured), np.pad(np.ones((2, 8), bool), ((1, 3), (2, 30))))


def test_the_same_picture_gives_the_same_mask() -> None:
    rgb = draw_slide("he", black=True).rgb
    assert np.array_equal(tissue_mask(rgb, MPP, TissueSpec()), tissue_mask(rgb.copy(), MPP, TissueSpec()))
