"""How many tokens a language model reads, with and without scaled rotary embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoConfig

from pathplugins.models.custom_llava.positions import positions_of, too_long

YARN = {"factor": 4.0, "original_max_position_embeddings": 32_768}


@pytest.mark.parametrize(
    ("settings", "positions"),
    [
        ({"max_position_embeddings": 32_768}, 32_768),
        ({"max_position_embeddings": 32_768, "rope_scaling": {"type": "yarn", **YARN}}, 131_072),
        ({"max_position_embeddings": 131_072, "rope_scaling": {"rope_type": "yarn", **YARN}}, 131_072),
        (
            {"max_position_embeddings": 32_768, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, **YARN}},
            131_072,
        ),
        ({"max_position_embeddings": 131_072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 131_072),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        ({}, None),
    ],
)
def test_positions(settings: dict, positions: int | None) -> None:
    assert positions_of(settings) == positions


def test_of_a_configuration() -> None:
    config = AutoConfig.for_model("qwen2", max_position_embeddings=32_768, rope_scaling={"rope_type": "yarn", **YARN})
    assert positions_of(config) == 131_072


def test_what_is_longer_is_counted() -> None:
    assert too_long(np.array([5, 10]), {"max_position_embeddings": 10}) is None
    assert too_long(np.array([5, 10]), {}) is None
    said = too_long(np.array([5, 38_407, 11]), {"max_position_embeddings": 10})
    assert said.startswith("2 of 3 samples are longer than the 10 positions of the language model, the longest 38,407")
    assert "rope_scaling in the config.json of the language model" in said
