"""Training of an attention probe: what it learns, what it does not look at, and that it repeats itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pathplugins.classify.probe.bag_rows import BagRows, Moments
from pathplugins.classify.probe.training import HEADS, Trained, logits_of, train_attention
from pathplugins.core.errors import PathPluginsError

TRAIN, VALID, TEST = np.arange(24), np.arange(24, 30), np.arange(30, 40)


class Drawn(BagRows):
    """Bags in memory: patches of class 1 have a high feature, one in ten."""

    def __init__(self) -> None:
        super().__init__([Path(f"{slide}.h5") for slide in range(40)], most=15)
        random = np.random.default_rng(3)
        self.labels = np.arange(40) % 2
        for slide in range(40):
            features = random.standard_normal((20, 4)).astype(np.float32)
            features[:2, slide % 2] += 5
            self._kept[slide] = features


def trained(rows: Drawn, moments: Moments, *, seed: int = 1, method: str = "abmil", epochs: int = 12) -> Trained:
    return train_attention(
        *(rows, moments, rows.labels, 2, TRAIN, VALID), method=method, epochs=epochs, seed=seed, device="cpu"
    )


@pytest.mark.parametrize("method", HEADS)
def test_it_learns_and_repeats_itself(method: str) -> None:
    rows = Drawn()
    moments = rows.moments()
    one, again = (trained(rows, moments, method=method) for _ in range(2))
    logits = logits_of(one.network, rows, TEST, "cpu")
    assert (logits.argmax(1).numpy() == rows.labels[TEST]).mean() >= 0.9
    assert one.epoch == again.epoch
    assert torch.equal(logits, logits_of(again.network, rows, TEST, "cpu"))
    other = trained(rows, moments, method=method, seed=2)
    assert not torch.equal(logits, logits_of(other.network, rows, TEST, "cpu"))


def test_slides_of_the_test_part_change_nothing() -> None:
    rows, spoilt = Drawn(), Drawn()
    for slide in TEST:
        spoilt._kept[slide][:] = np.nan
    spoilt.labels[TEST] = 0
    networks = [trained(each, each.moments(), epochs=3).network for each in (rows, spoilt)]
    assert torch.equal(*(logits_of(network, rows, TEST, "cpu") for network in networks))


def test_the_random_numbers_of_others_stay_theirs() -> None:
    torch.manual_seed(7)
    rows = Drawn()
    trained(rows, rows.moments(), epochs=1)
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))


def test_a_loss_that_is_no_number_is_said() -> None:
    rows = Drawn()
    moments = rows.moments()
    rows._kept[int(VALID[0])][0, 0] = np.nan
    with pytest.raises(PathPluginsError, match="abmil diverged"):
        trained(rows, moments, epochs=2)
