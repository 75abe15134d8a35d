"""Norms, biases, tokens and position embeddings do not decay, wrapped or not; LARS leaves them alone."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from pathplugins.classify.networks.classifier import Classifier
from pathplugins.classify.optimisers import decayed_names, lars, parameter_groups, scaled_rate


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_only_kernels_and_matrices_decay(name: str) -> None:
    network = Classifier(timm.create_model(name, num_classes=0), 8, 3)
    decayed = {*decayed_names(network)}
    norms = {
        f"{prefix}.{inner}"
        for prefix, module in network.named_modules()
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)
        for inner, _ in module.named_parameters()
    }
    assert norms
    assert not decayed & norms
    assert not [each for each in decayed if each.endswith(("bias", "cls_token", "pos_embed"))]
    assert "head.weight" in decayed
    assert [each for each in decayed if each.startswith("encoder.")]


def test_a_wrapper_changes_nothing() -> None:
    network = Classifier(timm.create_model("test_vit", num_classes=0), 64, 3)

    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = network

    assert decayed_names(Wrapper()) == [f"module.{name}" for name in decayed_names(network)]


def test_frozen_weights_are_in_no_group() -> None:
    network = Classifier(timm.create_model("test_resnet", num_classes=0), 96, 3, frozen=True)
    decayed, spared = parameter_groups(network, 0.1)
    assert [tuple(weight.shape) for weight in decayed["params"]] == [(3, 96)]
    assert [tuple(weight.shape) for weight in spared["params"]] == [(3,)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_lars_rescales_matrices_and_steps_biases_as_sgd() -> None:
    layer = nn.Linear(3, 2)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 1.0)
    layer.weight.grad, layer.bias.grad = torch.full((2, 3), 0.5), torch.full((2,), 0.5)
    lars(layer, learning_rate=0.1, weight_decay=0.25).step()
    local = 0.001 * 2 / (0.5 + 0.25 * 2)  # trust |w| / (|g| + decay |w|), of entries that are all alike
    torch.testing.assert_close(layer.weight, torch.full((2, 3), 2.0 - 0.1 * local * (0.5 + 0.25 * 2.0)))
    torch.testing.assert_close(layer.bias, torch.full((2,), 1.0 - 0.1 * 0.5))


def test_learning_rates_scale_by_a_fraction() -> None:
    assert scaled_rate(0.45, 64, 512) == pytest.approx(0.05625)  # integer division made it 0
    assert scaled_rate(0.45, 1024, 512) == pytest.approx(0.9)
    assert scaled_rate(0.45, 64, None) == 0.45
