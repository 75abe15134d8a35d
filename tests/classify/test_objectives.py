"""Losses of classes and masks, and BYOL's with the classifier that only watches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pathplugins.classify.networks.byol import byol_loss
from pathplugins.classify.objectives import objective_of
from pathplugins.classify.recipes import RECIPES


class Fixed(nn.Module):
    """Gives what it was made with."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, *views: Tensor) -> object:
        self.seen = views
        return self.output


def test_classes_and_masks() -> None:
    for shape in ((4, 3), (2, 3, 5, 7)):
        logits = torch.randn(shape)
        labels = torch.randint(0, 3, (shape[0], *shape[2:]))
        loss, shown = objective_of(RECIPES["segment"])(Fixed(logits), torch.zeros(1), labels)
        assert loss == cross_entropy(logits, labels)
        assert shown["accuracy"] == (logits.argmax(1) == labels).float().mean()


def test_byol_and_its_classifier() -> None:
    outputs = {"predictions": torch.randn(2, 4, 8), "targets": torch.randn(2, 4, 8), "logits": torch.randn(8, 3)}
    network, labels = Fixed(outputs), torch.tensor([0, 1, 2, 1])
    views = torch.randn(4, 2, 3, 8, 8)
    loss, shown = objective_of(RECIPES["byol"])(network, views, labels)
    assert torch.equal(network.seen[1], views[:, 1])
    both = torch.tensor([0, 1, 2, 1, 0, 1, 2, 1])
    wanted = byol_loss(outputs["predictions"], outputs["targets"])
    torch.testing.assert_close(shown["byol_loss"], wanted)
    torch.testing.assert_close(loss, wanted + cross_entropy(outputs["logits"], both))
    assert shown["online_accuracy"] == (outputs["logits"].argmax(1) == both).float().mean()
