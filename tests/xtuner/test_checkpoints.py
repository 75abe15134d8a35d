"""Checkpoints of an earlier stage, ours and PA-LLaVA's: read without running them, taken over whole or not at all."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from peft import LoraConfig
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.weights.names.pallava import to_published
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.parts import load_model

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40, "dropout": 0.0},
    "random_vision_seed": 0,
}
LORA = {"type": LoraConfig, "r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM"}
CONNECTOR = "multi_modal_projector."


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("checkpoints") / "cache"))
        yield


@pytest.fixture(scope="module")
def base() -> Any:
    return load_model(PARTS, torch_dtype="float32")


@pytest.fixture
def make(base: Any) -> Callable[..., PathologyLLaVAModel]:
    """A fresh model, with a LoRA or without."""

    def make(*, lora: bool = False, **options: Any) -> PathologyLLaVAModel:
        options = {"llm_lora": LORA if lora else None, "use_activation_checkpointing": False, **options}
        return PathologyLLaVAModel(copy.deepcopy(base), **options)

    return make


def changed(model: PathologyLLaVAModel) -> dict[str, Tensor]:
    """What an earlier stage of the same model might have saved."""
    return {name: value + 1 for name, value in model.state_dict().items()}


def weights(model: PathologyLLaVAModel) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


class Runs:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def test_a_checkpoint_is_read_without_running_it(make: Callable[..., PathologyLLaVAModel], tmp_path: Path) -> None:
    """As MMEngine writes it, log buffers and all, and with something in it that would run."""
    state = changed(make(lora=True))
    hub = MessageHub.get_instance("test_checkpoints")
    hub.update_scalar("train/loss", 0.5)
    content = {"meta": {"iter": 2}, "state_dict": state, "message_hub": hub.state_dict()}
    torch.save({**content, "optimizer": {"state": Runs(str(tmp_path / "marker"))}}, tmp_path / "iter_2.pth")
    got = read_checkpoint(str(tmp_path / "iter_2.pth"))
    assert list(got) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in got.items())
    assert not (tmp_path / "marker").exists()


def cut(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(state.items())[:-1])


def wider(state: dict[str, Tensor]) -> dict[str, Tensor]:
    name = next(reversed(state))
    return {**state, name: torch.cat([state[name], state[name]])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {**state, "llm.model.layers.9.weight": torch.ones(2)}, "no place for.*layers.9"),
        (lambda state: {f"x.{name}": value for name, value in state.items()}, "no place for"),
        (wider, r"is \(\d+,.*wanted \(\d+,"),
        (cut, "of the connector it lacks"),
        (lambda state: {}, "holds no weights"),
    ],
    ids=["foreign", "other names", "other shape", "part of a connector", "nothing"],
)
def test_weights_that_do_not_fit_are_refused_whole(
    make: Callable[..., PathologyLLaVAModel], change: Callable[..., Any], said: str
) -> None:
    model = make()
    before, state = weights(model), changed(model)
    with pytest.raises(CheckpointError, match=f"stage 1 does not fit this model: .*{said}"):
        model.load_trained(change(state), "stage 1")
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items()), "nothing is copied"
    model.load_trained(state, "stage 1")
    assert all(torch.equal(weights(model)[name], value) for name, value in state.items())


def test_an_earlier_stage_may_have_trained_less(make: Callable[..., PathologyLLaVAModel]) -> None:
    """A connector first, then a LoRA beside it, whose checkpoint holds both; the other way round does not fit."""
    connector = changed(make())
    later = make(lora=True, freeze_projector=True)
    assert not any(CONNECTOR in name for name in later.state_dict())
    later.load_trained(connector, "stage 1")
    state = later.state_dict()
    for name, value in connector.items():
        assert torch.equal(state[name.replace("llm.", "llm.base_model.model.", 1)], value)
    assert all(CONNECTOR in name or ".lora_" in name for name in state), "it is nowhere else any more"
    with pytest.raises(CheckpointError, match="no place for"):
        make().load_trained(state, "stage 2")


def test_a_language_model_trained_whole_may_get_a_lora(make: Callable[..., PathologyLLaVAModel]) -> None:
    whole = changed(make(freeze_llm=False))
    later = make(lora=True)
    later.load_trained(whole, "stage 1")
    query = "model.layers.0.self_attn.q_proj"
    own = weights(later)[f"llm.base_model.model.{query}.base_layer.weight"]
    assert torch.equal(own, whole[f"llm.{query}.weight"])


def published(model: PathologyLLaVAModel) -> dict[str, Tensor]:
    """What PA-LLaVA's own training would have saved of ``model``: other names for the connector, one buffer more."""
    state = {}
    for name, value in changed(model).items():
        _, found, bare = name.partition(CONNECTOR)
        state[to_published(bare) if found else name] = value
    return {"projector.model.bert.embeddings.position_ids": torch.arange(8)[None], **state}


@pytest.mark.parametrize("lora", [False, True])
def test_a41_a_published_checkpoint_is_taken_over(make: Callable[..., PathologyLLaVAModel], lora: bool) -> None:
    trained, model = make(lora=True), make(lora=True)
    state = published(trained)
    assert sum(name.startswith("projector.model.bert.encoder.layer.") for name in state) > 40
    if not lora:
        state = {name: value for name, value in state.items() if ".lora_" not in name}
        model = make()
    model.load_trained(state, "PA-LLaVA's iter_1.pth")
    own, wanted = weights(model), changed(trained)
    for name, value in own.items():
        given = wanted.get(name if lora else name.replace("llm.", "llm.base_model.model.", 1))
        if CONNECTOR in name or ".lora_" in name:
            assert torch.equal(value, given), name
    with pytest.raises(CheckpointError, match="of the connector it lacks"):
        model.load_trained(cut({name: value for name, value in state.items() if "projector" in name}), "a part")
