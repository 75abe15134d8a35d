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
    assert rates == [(4e-4, 6), (4e-4, 2), (2e-4, 15), (2e-4, 3)]  # the unmarked first: it is the one that is logged
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0, 0.1, 0.0]


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


@pytest.mark.host
@pytest.mark.parametrize("name", ["gamma_mlp", "linear", "mlp2x_gelu", "scale_invariant", "qformer_mlp"])
@pytest.mark.parametrize("ratio", [None, 0.5])
def test_what_decays_is_what_decays_in_the_trainer_of_transformers(name: str, ratio: float | None) -> None:
    from transformers import Trainer

    from pathplugins.models.connectors import CONNECTORS

    small = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
    connector = CONNECTORS.get(name)(32, 64, **(small if name in ("scale_invariant", "qformer_mlp") else {}))
    model = nn.ModuleDict({"multi_modal_projector": connector, "lora_A": nn.Linear(5, 3)})
    if ratio is not None:
        mark_learning_rates(model, {"multi_modal_projector": ratio})
    optimizer = adamw_by_module(model.parameters(), lr=1e-3, weight_decay=0.03)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decay = {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay.keys() == set(names.values())
    assert {name for name, value in decay.items() if value} == set(Trainer.get_decay_parameter_names(None, model))
    assert set(decay.values()) == {0.0, 0.03}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates["multi_modal_projector." + next(iter(model["multi_modal_projector"].state_dict()))] == pytest.approx(
        1e-3 * (ratio or 1)
    )


def test_without_decay_the_groups_are_as_they_were(model: nn.ModuleDict) -> None:
    """So that checkpoints of PA-LLaVA and PathGen go on loading."""
    assert len(adamw_by_module(model.parameters(), lr=1e-3, weight_decay=0).param_groups) == 1
    groups = adamw_by_module(model.parameters(), lr=1e-3).param_groups  # AdamW's own default is 0.01
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]


def test_an_unknown_option_is_said_in_our_words(model: nn.ModuleDict) -> None:
    with pytest.raises(
        PathPluginsError, match=r"optimizer: unknown option 'weigth_decay'\. Did you mean 'weight_decay'"
    ):
        adamw_by_module(model.parameters(), lr=1e-3, weigth_decay=0.1)
