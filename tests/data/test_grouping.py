"""The order of samples of one modality and like length (feature P21), by what LLaVA promises of it."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.data.grouping import grouped_by_modality

LENGTHS = [int(n) for n in np.random.default_rng(3).integers(5, 900, 203)]
LENGTHS[100:] = [-length for length in LENGTHS[100:]]  # 100 with images, 103 without


@pytest.mark.parametrize(("batch_size", "batches"), [(4, 2), (3, 1), (5, 3)])
def test_a_step_is_of_one_modality_until_both_run_out(batch_size: int, batches: int) -> None:
    order = grouped_by_modality(LENGTHS, batch_size, batches, seed=1, epoch=0)
    assert sorted(order) == list(range(203))
    step = batch_size * batches
    whole = 100 // step + 103 // step
    signs = np.sign(np.array(LENGTHS)[order])
    assert all(len(set(signs[i * step : (i + 1) * step])) == 1 for i in range(whole))
    assert {signs[i * step] for i in range(whole)} == {1, -1}
    assert len(order) - whole * step < 2 * step


def test_the_batches_of_a_step_are_about_as_long() -> None:
    lengths, drawn = np.abs(LENGTHS), grouped_by_modality(LENGTHS, 8, 2, seed=1, epoch=0)
    steps = lengths[drawn][: (100 // 16 + 103 // 16) * 16].reshape(-1, 2, 8).sum(-1)
    assert np.abs(np.diff(steps)).mean() < 60 < np.abs(np.diff(lengths[:192].reshape(-1, 2, 8).sum(-1))).mean()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = grouped_by_modality(LENGTHS, 4, 2, seed=1, epoch=0)
    assert np.array_equal(first, grouped_by_modality(LENGTHS, 4, 2, seed=1, epoch=0))
    assert not np.array_equal(first, grouped_by_modality(LENGTHS, 4, 2, seed=1, epoch=1))
    assert not np.array_equal(first, grouped_by_modality(LENGTHS, 4, 2, seed=2, epoch=0))


@pytest.mark.parametrize("lengths", [[3, 9, 4], [-3, -9, -4], [7], [3, -4]])
def test_few_samples_or_one_modality(lengths: list[int]) -> None:
    assert sorted(grouped_by_modality(lengths, 2, 2, seed=0, epoch=0)) == list(range(len(lengths)))
