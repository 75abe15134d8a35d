"""Patch geometry on odd, non-square sizes."""

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.geometry import Tiling, fit_tiling, patch_grid, tissue_fraction
from pathplugins.data_tools.tiling.spec import TilingSpec


def tiling(patch: int, stride: int | None = None) -> Tiling:
    return Tiling(patch_size_px0=patch, stride_px0=stride or patch, mpp=0.5)


@pytest.mark.parametrize("size", [(161, 97), (97, 161), (64, 32)], ids=str)
@pytest.mark.parametrize(("patch", "stride"), [(32, 32), (32, 20), (31, 7)])
def test_grid_is_inside_ordered_and_complete(size: tuple[int, int], patch: int, stride: int) -> None:
    coords = patch_grid(size, tiling(patch, stride))
    assert coords.dtype == np.int64
    assert (coords >= 0).all()
    assert (coords + patch <= size).all()
    assert (coords % stride == 0).all()
    assert len(coords) == ((size[0] - patch) // stride + 1) * ((size[1] - patch) // stride + 1)
    order = np.lexsort((coords[:, 0], coords[:, 1]))  # by y, then x
    assert np.array_equal(order, np.arange(len(coords)))
    assert (coords.max(axis=0) + patch + stride > size).all()


def test_nothing_fits_into_less_than_a_patch() -> None:
    assert patch_grid((300, 31), tiling(32)).shape == (0, 2)


@pytest.mark.parametrize("size", [(161, 97), (133, 234)], ids=str)
def test_fraction_is_exact(size: tuple[int, int]) -> None:
    h, w = 23, 41
    mask = np.random.default_rng(0).random((h, w)) < 0.4
    fine = np.repeat(np.repeat(mask, size[1], axis=0), size[0], axis=1).reshape(size[1], h, size[0], w)
    wanted = fine.mean(axis=(1, 3))  # the mask at level-0 resolution, [H, W]
    coords = patch_grid(size, tiling(30, 17))
    fractions = tissue_fraction(mask, size, coords, 30)
    assert len(coords) > 20
    for (x, y), fraction in zip(coords, fractions, strict=True):
        assert fraction == pytest.approx(wanted[y : y + 30, x : x + 30].mean(), abs=1e-9)


def test_fraction_of_all_and_nothing() -> None:
    coords = patch_grid((161, 97), tiling(32))
    assert (tissue_fraction(np.ones((10, 16), bool), (161, 97), coords, 32) == 1).all()
    assert (tissue_fraction(np.zeros((10, 16), bool), (161, 97), coords, 32) == 0).all()


@pytest.mark.parametrize(
    ("level0_mpp", "downsamples", "patch_px0", "mpp"),
    [
        (0.5, (1.0, 4.0), 256, 0.5),
        (0.25, (1.0, 4.0), 512, 0.5),
        (0.499, (1.0, 4.0), 256, 0.499),  # near enough: the scanner's own pixels
        (0.5034, (1.0,), 256, 0.5034),  # not an up-sampling either
        (0.1262, (1.0, 4.0005), 1024, 0.5048),  # a level near enough
        (0.25, (1.0, 1.998, 4.0), 512, 0.5),  # a rounded level gives the same pixels: no need to shift the grid
        (0.2325, (1.0, 4.0), 551, 551 * 0.2325 / 256),
    ],
)
def test_sizes_at_level_0(level0_mpp: float, downsamples: tuple[float, ...], patch_px0: int, mpp: float) -> None:
    fitted = fit_tiling(TilingSpec(), level0_mpp=level0_mpp, downsamples=downsamples, slide="s")
    assert fitted.patch_size_px0 == fitted.stride_px0 == patch_px0
    assert fitted.mpp == pytest.approx(mpp)


def test_a_level_near_by_is_taken_as_it_is_only_within_snap() -> None:
    near, far = (
        fit_tiling(TilingSpec(), level0_mpp=mpp, downsamples=(1.0, 2.0), slide="s").patch_size_px0
        for mpp in (0.2531, 0.2400)
    )
    assert near == 512
    assert far == round(256 * 0.5 / 0.24)


def test_sizes_with_overlap() -> None:
    fitted = fit_tiling(TilingSpec(patch_size=224, overlap=24), level0_mpp=0.25, downsamples=(1.0,), slide="s")
    assert (fitted.patch_size_px0, fitted.stride_px0) == (448, 400)


def test_sharper_than_the_slide_is_refused() -> None:
    with pytest.raises(PathPluginsError, match=r"slide\.svs.*0\.1 um/px.*0\.25 um/px.*--mpp 0\.25"):
        fit_tiling(TilingSpec(mpp=0.1), level0_mpp=0.25, downsamples=(1.0, 4.0), slide="slide.svs")
