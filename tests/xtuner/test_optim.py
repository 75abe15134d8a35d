"""Learning rates per module, which XTuner loses under DeepSpeed (A20, A42)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.learning_rates import mark_learning_rates
from pathplugins.xtuner.optim import adamw_by_module


@pytest.fixture
def model() -> nn.ModuleDict:
    parts = nn.ModuleDict({"llm": nn.Linear(3, 2), "projector": nn.Linear(5, 3), "tower": nn.Linear(2, 5)})
    parts["tower"].requires_grad_(False)
    return parts


def test_groups_by_mark_and_leaves_out_what_is_frozen(model: nn.ModuleDict) -> None:
    mark_learning_rates(model, {"projector": 0.5})
    optimizer = adamw_by_module(model.parameters(), lr=4e-4, betas=(0.8, 0.9), weight_decay=0.1)
    rates = [(group["lr"], sum(p.numel() for p in group["params"])) for group in optimizer.param_groups]
    assert rates == [(4e-4, 8), (2e-4, 18)]  # the unmarked group first: it is the one that is logged
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[1]["weight_decay"] == 0.1


def test_a_step_moves_a_marked_weight_by_its_own_rate(model: nn.ModuleDict) -> None:
    mark_learning_rates(model, {"projector": 0.25})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = adamw_by_module(model.parameters(), lr=1e-2, weight_decay=0.0)
    model["llm"](model["projector"](model["tower"](torch.ones(4, 2)))).sum().backward()
    optimizer.step()
    moved = {name: (p - before[name]).abs().max().item() for name, p in model.named_parameters()}
    assert moved["llm.bias"] == pytest.approx(1e-2, rel=1e-3)  # the first step of Adam is the rate itself
    assert moved["projector.bias"] == pytest.approx(0.25e-2, rel=1e-3)
    assert moved["tower.weight"] == 0


@pytest.mark.parametrize(
    ("multipliers", "message"),
    [
        ({"projektor": 0.5}, "no trained weight"),
        ({"tower": 0.5}, "no trained weight"),
        ({"llm": 0.0}, "freeze the module"),
    ],
)
def test_a_rate_for_nothing_is_an_error(model: nn.ModuleDict, multipliers: dict[str, float], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        mark_learning_rates(model, multipliers)


def test_nothing_to_train_is_an_error(model: nn.ModuleDict) -> None:
    model.requires_grad_(False)
    with pytest.raises(PathPluginsError, match="every module is frozen"):
        adamw_by_module(model.parameters(), lr=1e-3)
