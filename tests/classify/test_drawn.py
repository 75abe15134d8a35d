"""Drawn patch sets are read as the published ones, and colours do not give the class away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pathplugins.classify.drawn import draw_pcam200, draw_ptcga200, draw_segpanda200, grains, texture
from pathplugins.data.patch_sets import PatchSet, read_patch_set


@pytest.fixture(scope="module")
def pcam(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    return read_patch_set(draw_pcam200(tmp_path_factory.mktemp("p") / "PCam200", cases=(6, 1, 1), patches=2, side=64))


def test_trees_are_found_as_their_kinds(pcam: PatchSet, tmp_path: Path) -> None:
    assert (pcam.kind, pcam.classes, len(pcam), len(pcam.part("valid"))) == ("pcam200", ("normal", "tumor"), 32, 4)
    assert len(set(pcam.groups)) == 16
    organs = read_patch_set(draw_ptcga200(tmp_path / "PTCGA200", slides=2, patches=3, side=32))
    assert (organs.kind, len(organs), len(set(organs.groups))) == ("ptcga200", 18, 6)
    masks = read_patch_set(draw_segpanda200(tmp_path / "SegPANDA200", cases=(2, 1, 1), patches=2, side=48))
    assert (masks.kind, masks.task, len(masks)) == ("segpanda200", "masks", 8)
    mask = masks.read_mask(0)
    assert mask.shape == masks.read(0).size[::-1] == (48, 48)
    assert len(np.unique(mask)) > 1


def test_drawings_repeat(tmp_path: Path) -> None:
    one, other = (draw_pcam200(tmp_path / name, cases=(1, 1, 1), patches=1, side=32) for name in "ab")
    files = sorted(path.relative_to(one) for path in one.rglob("*.jpg"))
    assert len(files) == 6
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)


def test_grain_and_not_colour_says_the_class(pcam: PatchSet) -> None:
    pixels = np.stack([np.asarray(pcam.read(index), float) for index in range(len(pcam))])  # [N, H, W, 3]
    tumor = pcam.labels == 1
    means = pixels.mean((1, 2))  # [N, 3]
    apart = np.abs(means[tumor].mean(0) - means[~tumor].mean(0)) / means.std(0)
    assert apart.max() < 1.5  # class means in standard deviations; those of the grain are 3 or more apart
    rough = np.abs(np.diff(pixels.mean(-1), axis=1)).mean((1, 2)) / pixels.mean(-1).std((1, 2))  # [N]
    assert (rough[~tumor].mean() - rough[tumor].mean()) / rough[tumor].std() > 3
    assert rough[~tumor].min() > rough[tumor].max()


def test_a_texture_has_its_wavelength() -> None:
    for grain in grains(3):
        spectrum = np.abs(np.fft.fft2(texture(np.random.default_rng(0), 96, grain)))
        along = np.fft.fftfreq(96)
        waves = np.hypot(along[:, None], along[None])
        assert np.average(waves, weights=spectrum**2) * grain == pytest.approx(1, abs=0.15)
