"""Names of LLaVA's weights: to which part each belongs, there and back."""

from __future__ import annotations

import pytest

from pathplugins.weights.names.llava import Layout, part_of, to_layout

NAMES = [
    *("model.embed_tokens.weight", "model.layers.11.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"),
    *("multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_2.bias"),
    "vision_tower.encoder.layers.3.mlp.fc1.weight",
]


@pytest.mark.parametrize(
    ("layout", "name", "part"),
    [
        (
            "llava",
            "model.layers.3.self_attn.q_proj.weight",
            ("language model", "model.layers.3.self_attn.q_proj.weight"),
        ),
        ("llava", "model.mm_projector.2.bias", ("connector", "linear_2.bias")),
        ("llava", "model.mm_projector.weight", ("connector", "linear_1.weight")),
        ("llava", "model.mm_projector.5.bias", None),
        (
            *("llava", "model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias"),
            ("vision tower", "encoder.layers.0.mlp.fc1.bias"),
        ),
        ("llava", "model.image_newline", None),
        ("llava", "model.layers.0.self_attn.rotary_emb.inv_freq", ("nothing",)),
        ("hf-llava", "language_model.model.norm.weight", ("language model", "model.norm.weight")),
        ("hf-llava", "model.language_model.norm.weight", ("language model", "model.norm.weight")),
        ("hf-llava", "model.multi_modal_projector.linear_1.bias", ("connector", "linear_1.bias")),
        ("hf-llava", "vision_tower.vision_model.post_layernorm.bias", ("vision tower", "post_layernorm.bias")),
        ("hf-llava", "vision_tower.vision_model.embeddings.position_ids", ("nothing",)),
        ("hf-llava", "lm_head.weight", ("language model", "lm_head.weight")),
        ("hf-llava", "qformer.weight", None),
    ],
)
def test_the_part_of_a_name(layout: Layout, name: str, part: tuple[str, ...] | None) -> None:
    found = part_of(name, layout)
    assert (found[: len(part)] if found and part else found) == part


@pytest.mark.parametrize("layout", ["llava", "hf-llava"])
def test_there_and_back(layout: Layout) -> None:
    for name in NAMES:
        if layout == "llava" and name.startswith("vision_tower."):
            continue  # in a directory of its own
        part, bare = part_of(to_layout(name, layout), layout) or ("", "")
        prefix = {"language model": "", "connector": "multi_modal_projector.", "vision tower": "vision_tower."}[part]
        assert prefix + bare == name
    assert to_layout("multi_modal_projector.linear_1.bias", "llava", linear=True) == "model.mm_projector.bias"
