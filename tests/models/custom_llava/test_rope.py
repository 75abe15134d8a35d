"""The base of the rotary embedding survives the way from one Transformers version to another."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from gemma_models import has_gemma3
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.positions import positions_of
from pathplugins.models.custom_llava.rope import legacy_rope

THETA = 500_000.0
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
NEW: list[dict[str, Any]] = [{"rope_theta": THETA, "rope_type": "default"}, {"rope_theta": THETA, **LLAMA3}]


def rope_of(config: Any) -> tuple[float, str, float | None]:
    """Base, kind and factor, wherever this version keeps them."""
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    theta = scaling.get("rope_theta") or config.rope_theta
    return theta, scaling.get("rope_type", "default"), scaling.get("factor")


@pytest.mark.parametrize("parameters", NEW, ids=lambda parameters: parameters["rope_type"])
def test_files_of_transformers_5_keep_their_base(parameters: dict[str, Any]) -> None:
    config = CustomLlavaConfig(text_config={"model_type": "llama", "rope_parameters": parameters})
    wanted = (THETA, parameters["rope_type"], parameters.get("factor"))
    assert rope_of(config.text_config) == wanted
    again = CustomLlavaConfig.from_dict(config.to_dict())
    assert rope_of(again.text_config) == wanted


def test_a_configuration_that_was_read_before_is_corrected() -> None:
    read = LlamaConfig(rope_parameters=dict(NEW[0]))  # as AutoConfig does with such a file, in either version
    assert rope_of(CustomLlavaConfig(text_config=read).text_config) == (THETA, "default", None)


def test_both_bases_of_gemma_3_are_kept() -> None:
    linear = {"rope_type": "linear", "factor": 8.0}
    layers = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        "full_attention": {**linear, "rope_theta": 1_000_000.0},
    }
    assert legacy_rope({"rope_parameters": layers}) == {
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "rope_scaling": linear,
    }
    if has_gemma3:
        read = CustomLlavaConfig(text_config={"model_type": "gemma3_text", "rope_parameters": layers}).text_config
        told = getattr(read, "rope_parameters", None) or layers
        assert told["full_attention"] == layers["full_attention"]
        assert told["sliding_attention"] == layers["sliding_attention"]


def test_files_of_transformers_4_are_read_as_they_are() -> None:
    settings = {"model_type": "llama", "rope_theta": THETA, "rope_scaling": LLAMA3}
    assert legacy_rope(settings) is settings
    assert rope_of(CustomLlavaConfig(text_config=settings).text_config) == (THETA, "llama3", 8.0)
    assert rope_of(CustomLlavaConfig(text_config={"model_type": "llama"}).text_config)[0] == 10_000.0


def test_the_configuration_may_be_the_first_thing_imported() -> None:
    """It imports Transformers, whose import wants to register it."""
    code = (
        f"from {CustomLlavaConfig.__module__} import CustomLlavaConfig\n"
        "from transformers import AutoConfig; print(type(AutoConfig.for_model('custom_llava')).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["CustomLlavaConfig"]
    assert "could not register" not in done.stderr


@pytest.mark.parametrize("most", [64, 256])
@pytest.mark.parametrize("original", [{"original_max_position_embeddings": 64}, {}])
def test_a_yarn_has_one_meaning_in_all_versions(most: int, original: dict[str, int]) -> None:
    """Frequencies by the formula (Peng et al. 2023) for a trained length of 64, whatever was written beside it."""
    scaling = {"rope_type": "yarn", "factor": 4.0, **original}
    text = {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
    text |= {"rope_theta": 1e6, "max_position_embeddings": most if original else 64, "rope_scaling": scaling}
    config = CustomLlavaConfig(text_config=text).text_config
    embedding = LlamaRotaryEmbedding(config)
    dim, base, plain = 16, 1e6, 1e6 ** -(torch.arange(0, 16, 2) / 16)
    low, high = (dim * math.log(64 / (turns * 2 * math.pi)) / (2 * math.log(base)) for turns in (32, 1))
    ramp = ((torch.arange(8) - max(math.floor(low), 0)) / (math.ceil(high) - max(math.floor(low), 0))).clamp(0, 1)
    torch.testing.assert_close(embedding.inv_freq, plain * (1 - ramp) + plain / 4 * ramp)
    assert embedding.attention_scaling == pytest.approx(0.1 * math.log(4) + 1)
    assert positions_of(config) == 256
