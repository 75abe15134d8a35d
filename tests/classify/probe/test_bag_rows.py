"""Rows of bags in memory and from disk, and the moments that scale features."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pathplugins.classify.probe.bag_rows import BagRows


@pytest.fixture
def bags(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(2)
    for number, rows in enumerate((7, 30)):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            features = random.standard_normal((rows, 3)).astype(np.float16) * (number + 1) + 5
            features[:, 2] = 4  # never another value
            file["features"] = features.astype(np.float16)
    return [tmp_path / "0.h5", tmp_path / "1.h5"]


def test_rows_are_the_same_from_memory_and_from_disk(bags: list[Path]) -> None:
    kept, read = BagRows(bags, most=10), BagRows(bags, most=10, kept_bytes=0)
    kept.moments()
    for slide, rows in enumerate((7, 10)):
        assert kept.drawn(slide, 3).shape == (rows, 3)
        assert kept.drawn(slide, 3).dtype == torch.float32
        assert torch.equal(kept.drawn(slide, 3), read.drawn(slide, 3))
        assert torch.equal(kept.all(slide), read.all(slide))
    assert not torch.equal(kept.drawn(1, 3), kept.drawn(1, 4))


def test_every_slide_counts_alike_in_the_moments(bags: list[Path]) -> None:
    rows = BagRows(bags, most=10)
    features = [rows.all(slide).double().numpy() for slide in (0, 1)]
    mean, scale = rows.moments().spread(np.array([0, 1]))
    wanted = (features[0].mean(0) + features[1].mean(0)) / 2
    spread = np.sqrt(sum(np.square(each - wanted).mean(0) for each in features) / 2)
    np.testing.assert_allclose(mean.numpy(), wanted, rtol=1e-6)
    np.testing.assert_allclose(scale.numpy()[:2], spread[:2], rtol=1e-5)
    assert scale[2] == 1
    np.testing.assert_allclose(rows.moments().spread(np.array([1]))[0].numpy(), features[1].mean(0), rtol=1e-6)
