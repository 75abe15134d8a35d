import numpy as np
import pytest

from pathplugins.data_tools.tissue.texture import Blocks, around


@pytest.mark.parametrize("mpp", [2.0, 4.0, 8.0, 12.0])
def test_texture_is_the_mean_step_in_shares_of_the_brightness(mpp: float) -> None:
    """A chequerboard of one pixel looked at, the same at every resolution."""
    blocks = Blocks(np.zeros((1, 1), np.uint8), mpp)
    step = blocks.step
    side = max(2, round(64 / blocks.thinned_px))
    rows, columns = np.indices((step * side * 3 + 1, step * side * 2 + 3)) // step
    grey = np.where((rows + columns) % 2, 110, 90).astype(np.uint8)
    blocks = Blocks(grey, mpp)
    everywhere = np.ones(grey.shape, bool)
    texture = blocks.texture(blocks.thinned(everywhere))
    assert texture.shape == (4, 3)
    assert np.allclose(texture[:3, :2], 20 / 132, atol=0.01)
    assert blocks.spread(texture).shape == grey.shape


def test_borders_of_the_mask_are_no_texture() -> None:
    grey = np.full((90, 101), 200, np.uint8)
    mask = np.zeros(grey.shape, bool)
    mask[20:70, 30:80] = True
    grey[mask] = 90
    blocks = Blocks(grey, 4.0)
    texture = blocks.texture(blocks.thinned(mask))
    assert np.nanmax(texture) == 0
    assert np.isnan(texture[-1, -1])
    assert blocks.cover(blocks.thinned(mask)).sum() * 8**2 == 25 * 25
    assert np.nanmax(blocks.texture(blocks.thinned(np.ones_like(mask)))) > 0.02


def test_around_sums_nine() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert around(values)[1, 1] == values[:3, :3].sum()
    assert around(values)[0, 0] == values[:2, :2].sum()
