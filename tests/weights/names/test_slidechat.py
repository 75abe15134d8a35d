"""Names of SlideChat's weights: the part each belongs to."""

from __future__ import annotations

import pytest

from pathplugins.weights.names.slidechat import part_of


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("LongNet_encoder.layers.0.ffn.fc1.weight", ("slide encoder", "layers.0.ffn.fc1.weight")),
        ("module.LongNet_encoder.layer_norm.bias", ("slide encoder", "layer_norm.bias")),
        ("projector.model.0.weight", ("connector", "linear_1.weight")),
        ("projector.model.2.bias", ("connector", "linear_2.bias")),
        ("projector.model.4.bias", None),
        ("llm.model.norm.weight", ("language model", "model.norm.weight")),
        ("llm.lm_head.weight", ("language model", "lm_head.weight")),
        ("visual_encoder.x", None),
    ],
)
def test_a_name_belongs_to_a_part(name: str, found: tuple[str, str] | None) -> None:
    assert part_of(name) == found
