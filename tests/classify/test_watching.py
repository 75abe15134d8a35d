"""Metrics while training, on numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pathplugins.classify.watching import watched

BATCHES = [
    (torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0, 0])),
    (torch.tensor([[0.0, 2.0]]), torch.tensor([1])),
]
"""Logits that the identity gives back; predicted 0, 0, 1 of class 0, and 1 of class 1."""


def test_classes() -> None:
    network = nn.Identity().train()
    found = watched(network, BATCHES, task="classes", classes=2, device="cpu")
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert found == {
        "loss": pytest.approx((3 * right + wrong) / 4),
        "accuracy": 0.75,
        "balanced_accuracy": pytest.approx((2 / 3 + 1) / 2),
    }
    assert not network.training


def test_masks() -> None:
    logits = torch.zeros(1, 3, 2, 3)  # class 2 is nowhere
    logits[0, 0, :, :2] = 5.0
    logits[0, 1, :, 2] = 5.0
    masks = torch.tensor([[[0, 0, 1], [0, 1, 1]]])
    found = watched(nn.Identity(), [(logits, masks)], task="masks", classes=3, device="cpu")
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["miou"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert found["dice"] == pytest.approx((6 / 7 + 4 / 5) / 2)
