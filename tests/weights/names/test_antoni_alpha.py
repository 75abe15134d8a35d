"""Where a tensor of ANTONI-Alpha goes, by its name."""

from __future__ import annotations

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.names.antoni_alpha import BASE, VISION, parts_of
from pathplugins.weights.stored import Stored

LLM = "llm.base_model.model."


class InMemory(Stored):
    def read(self) -> torch.Tensor:
        return torch.zeros(self.shape)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self.read()[start:stop]


def stored(*names: str) -> dict[str, Stored]:
    sides = {"lora_A": (2, 4), "lora_B": (4, 2)}
    shapes = {name: next((shape for side, shape in sides.items() if side in name), (4,)) for name in names}
    return {name: InMemory("float32", shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("inner", ["model.language_model.", "language_model.model."])
def test_every_tensor_has_one_place(inner: str) -> None:
    names = stored(
        "projection_layer.q_proj.weight",
        *(f"{LLM}{inner}layers.0.mlp.up_proj.lora_{side}.default.weight" for side in "AB"),
        *(f"{LLM}{inner}layers.0.mlp.up_proj.base_layer.weight{end}" for end in ("", ".absmax")),
        f"{LLM}{inner}embed_tokens.modules_to_save.default.weight",
        f"{LLM}{inner}embed_tokens.original_module.weight",
        f"{LLM}{inner}norm.weight",
        *(f"{LLM}model.vision_tower.vision_model.head.lora_{side}.default.weight" for side in "AB"),
        f"{LLM}model.multi_modal_projector.mm_input_projection_weight",
    )
    parts = parts_of(names, where="there")
    assert list(parts.connector) == ["q_proj.weight"]
    assert list(parts.lora) == ["model.layers.0.mlp.up_proj"]
    assert list(parts.saved) == ["model.embed_tokens.weight"]
    assert list(parts.untouched) == ["model.norm.weight"]
    assert parts.left_out == {BASE: 3, VISION: 3}


def test_a_stranger_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"1 of its 2 tensors are neither .*value_head\.weight"):
        parts_of(stored("projection_layer.q_proj.weight", "value_head.weight"), where="there")
