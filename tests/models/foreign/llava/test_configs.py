"""Configurations that other loaders of LLaVA read, and which models they cannot have."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from pathplugins.models.foreign.llava.configs import original_config, problems_of, transformers_config, vision_config

CONFIG: dict[str, Any] = {
    "text_config": {"model_type": "llama", "vocab_size": 50, "dtype": "bfloat16", "max_position_embeddings": 99},
    "vision_config": {
        **{"model_type": "clip", "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 5},
        **{"num_attention_heads": 3, "image_size": 35, "patch_size": 7, "select_layer": -2},
    },
    "projector_config": {"type": "mlp2x_gelu"},
    "vision_feature_select_mode": "none",
    "image_token_id": 50,
}
PAD = {"image_aspect_ratio": "pad"}


@pytest.mark.parametrize(
    ("change", "layout", "said"),
    [
        ({}, "llava", []),
        ({"projector_config": {"type": "linear"}}, "llava", []),
        ({"projector_config": {"type": "linear"}}, "hf-llava", ["its connector is linear, wanted mlp2x_gelu"]),
        ({"vision_feature_select_mode": "stride"}, "llava", ["its token selector is stride, wanted none"]),
        ({"use_prefix_lm_mask": True}, "hf-llava", ["use_prefix_lm_mask is on"]),
        ({"vision_config": {"model_type": "longnet_vit"}}, "llava", ["its vision tower is longnet_vit, wanted clip"]),
        ({"text_config": {"model_type": "qwen2"}}, "llava", ["its language model is a qwen2, wanted llama or mistral"]),
        ({"text_config": {"model_type": "qwen2"}}, "hf-llava", []),
    ],
)
def test_models_that_llava_cannot_be(change: dict[str, Any], layout: Any, said: list[str]) -> None:
    assert problems_of({**CONFIG, **change}, PAD, layout) == said


def test_images_must_be_padded() -> None:
    said = "its image_aspect_ratio is anyres, wanted pad or square"
    assert problems_of(CONFIG, {"image_aspect_ratio": "anyres"}, "llava") == [said]
    square = {"image_aspect_ratio": "square"}
    assert problems_of(CONFIG, square, "llava") == []
    assert problems_of(CONFIG, square, "hf-llava") == ["its image_aspect_ratio is square, wanted pad"]


def test_the_tower_ends_with_the_layer_that_is_read() -> None:
    config = copy.deepcopy(CONFIG)
    told = vision_config(config)
    assert (told["num_hidden_layers"], told["model_type"]) == (4, "clip_vision_model")
    assert "select_layer" not in told
    assert config == CONFIG, "the model's own stays"


def test_configurations_of_both_layouts(tmp_path: Path) -> None:
    theirs = transformers_config(CONFIG, "bfloat16")
    assert (theirs["text_config"]["vocab_size"], theirs["unpadded_vocab_size"]) == (51, 50), "a row for the image token"
    assert (theirs["image_seq_length"], theirs["vision_feature_layer"], theirs["image_token_index"]) == (25, -1, 50)
    assert "unpadded_vocab_size" not in transformers_config({**CONFIG, "image_token_id": 3}, "bfloat16")
    original = original_config(CONFIG, "float16", tmp_path, "square")
    assert original["image_aspect_ratio"] == "square"
    assert (original["model_type"], original["torch_dtype"]) == ("llava_llama", "float16")
    assert original["mm_vision_tower"] == str(tmp_path)
    assert (original["mm_hidden_size"], original["tokenizer_model_max_length"]) == (24, 99)
    assert "dtype" not in original
