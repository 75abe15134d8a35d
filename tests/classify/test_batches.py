"""Every picture of an epoch is read once, by one process, in an order that no number of processes changes."""

from __future__ import annotations

import pytest

from pathplugins.classify.batches import StepBatches
from pathplugins.core.errors import PathPluginsError


def steps(count: int, *, batch: int, accumulation: int, world: int, epoch: int = 0, seed: int = 5) -> list[set[int]]:
    """The pictures of each optimiser step, over all processes."""
    found: list[set[int]] = []
    for rank in range(world):
        sampler = StepBatches(count, batch=batch, accumulation=accumulation, rank=rank, world=world, seed=seed)
        sampler.epoch = epoch
        batches = list(sampler)
        assert len(batches) == len(sampler) == sampler.steps * accumulation
        for place, each in enumerate(batches):
            if place // accumulation == len(found):
                found.append(set())
            assert len(each) == batch
            assert not found[place // accumulation] & set(each)
            found[place // accumulation] |= set(each)
    return found


def test_a_step_takes_the_same_pictures_on_any_number_of_processes() -> None:
    alone = steps(29, batch=6, accumulation=1, world=1)
    assert steps(29, batch=3, accumulation=1, world=2) == alone
    assert steps(29, batch=3, accumulation=2, world=1) == alone
    assert steps(29, batch=1, accumulation=2, world=3) == alone
    assert [len(each) for each in alone] == [6] * 4
    assert len(set.union(*alone)) == 24


def test_each_epoch_and_seed_has_its_own_order() -> None:
    one = steps(24, batch=4, accumulation=1, world=1)
    assert steps(24, batch=4, accumulation=1, world=1) == one
    assert steps(24, batch=4, accumulation=1, world=1, epoch=1) != one
    assert steps(24, batch=4, accumulation=1, world=1, seed=6) != one


def test_too_few_pictures_for_a_step() -> None:
    with pytest.raises(PathPluginsError, match=r"11 pictures for training but a step takes 12 \(2 x 3 batches x 2"):
        StepBatches(11, batch=2, accumulation=3, rank=0, world=2, seed=0)
