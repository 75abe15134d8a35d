"""Resamples: slides where they are known, sums that match a resample taken sample by sample, bundles of many units."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.classify.scoring.measure import measure
from pathplugins.classify.scoring.resampling import MOST_ROWS, resampling
from pathplugins.core.errors import PathPluginsError


def test_sums_are_those_of_the_samples_drawn() -> None:
    random = np.random.default_rng(0)
    groups = [f"slide{index}" for index in random.integers(0, 7, 61)]
    drawn = resampling(groups, 61, resamples=5, seed=3)
    category, values = random.integers(0, 4, 61), random.random(61)
    assert (drawn.unit, drawn.units, drawn.weights.shape) == ("slide", 7, (6, 7))
    assert (drawn.weights.sum(1) == 7).all()
    times = drawn.weights[:, drawn.row]  # [1 + B, N]: how often every sample is in
    for resample, each in enumerate(times.astype(int)):
        inside = np.repeat(np.arange(61), each)
        counts = np.bincount(category[inside], minlength=4)
        assert drawn.sums(category, 4)[resample].tolist() == counts.tolist()
        sums = np.bincount(category[inside], weights=values[inside], minlength=4)
        assert drawn.sums(category, 4, values)[resample] == pytest.approx(sums)
        assert drawn.mean(values)[resample] == pytest.approx(values[inside].mean())
    columns = np.stack([values, 2 * values], axis=1)
    assert drawn.columns(columns)[:, 1] == pytest.approx(2 * drawn.columns(columns)[:, 0])


def test_slides_give_wider_intervals_than_their_patches() -> None:
    right = np.repeat(np.random.default_rng(1).random(40) < 0.6, 50).astype(float)  # a slide is right or wrong whole
    groups = [f"s{index // 50}" for index in range(2000)]
    by_slide, by_patch = resampling(groups, 2000), resampling(None, 2000)
    slides, patches = (measure(drawn.mean(right), drawn.units) for drawn in (by_slide, by_patch))
    assert slides.value == patches.value == right.mean()
    assert slides.high - slides.low > 5 * (patches.high - patches.low)
    assert "40 slides" in by_slide.note()
    assert "the slides are not known" in by_patch.note()


def test_a_seed_repeats_and_an_empty_slide_id_is_a_slide_by_itself() -> None:
    one, same, other = (resampling(["a", "", "a", ""], 4, seed=seed) for seed in (1, 1, 2))
    assert one.units == 3
    assert np.array_equal(one.weights, same.weights)
    assert not np.array_equal(one.weights, other.weights)
    assert resampling(["", ""], 2).unit == "sample"


def test_bundles_of_many_samples_keep_the_width() -> None:
    values = np.random.default_rng(2).normal(size=50_000)
    drawn = resampling(None, values.size)
    assert drawn.weights.shape == (1001, MOST_ROWS)
    assert "bundles" in drawn.note()
    found = measure(drawn.mean(values), drawn.units)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(values.size), rel=0.1)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(PathPluginsError, match="no sample"):
        resampling(None, 0)
