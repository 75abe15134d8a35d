"""Names of Gemma 3: as Transformers has written them, and what is not the language model's."""

from __future__ import annotations

import pytest

from pathplugins.weights.names.gemma3 import language_name


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("language_model.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("model.language_model.norm.weight", "model.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("vision_tower.vision_model.embeddings.patch_embedding.weight", ""),
        ("model.multi_modal_projector.mm_input_projection_weight", ""),
        ("base_model.model.lm_head.weight", None),
    ],
)
def test_whose_a_tensor_is(name: str, ours: str | None) -> None:
    assert language_name(name) == ours
