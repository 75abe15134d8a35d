"""A frozen encoder keeps its statistics while its classifier trains."""

from __future__ import annotations

import timm
import torch

from pathplugins.classify.networks.classifier import Classifier


def test_a_frozen_encoder_stays_as_it_is() -> None:
    network = Classifier(timm.create_model("test_resnet", num_classes=0), 96, 3, dropout=0.5, frozen=True).train()
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.encoder.state_dict().items())
    assert {name for name, weight in network.named_parameters() if weight.grad is not None} == {
        "head.weight",
        "head.bias",
    }
    assert network.dropout.training


def test_a_free_encoder_trains() -> None:
    network = Classifier(timm.create_model("test_resnet", num_classes=0), 96, 3).train()
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert network.encoder.bn1.num_batches_tracked == 1
    assert all(weight.grad is not None for weight in network.parameters())
