"""What is quantized, and what stays whole."""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.quantization import WHOLE, keep_whole, whole_parts

OURS, OTHER = SimpleNamespace(model_type="custom_llava"), SimpleNamespace(model_type="llama")


class HqqConfig:
    """Takes no modules by default but the head, as Transformers' one, which needs its package to be made."""

    skip_modules = ("lm_head",)


class Other:
    """A method of tomorrow."""


def asked(config: Any, method: Any, **args: Any) -> dict[str, Any]:
    """Configure as LLaMA-Factory does, 0.9.3 and later ones; what the model is loaded with."""

    def old(config: Any, tokenizer: Any, model_args: Any, init_kwargs: dict[str, Any]) -> None:
        init_kwargs["quantization_config"] = deepcopy(method)

    def new(config: Any, tokenizer: Any, model_args: Any, is_trainable: bool, init_kwargs: dict[str, Any]) -> None:
        init_kwargs["quantization_config"] = deepcopy(method)

    made: list[dict[str, Any]] = [{}, {}]
    whole_parts(SimpleNamespace(configure_quantization=old))(config, None, SimpleNamespace(**args), made[0])
    whole_parts(SimpleNamespace(configure_quantization=new))(config, None, SimpleNamespace(**args), True, made[1])
    first, second = (each["quantization_config"] for each in made)
    assert vars(first) == vars(second)
    return made[1]


def test_bits_and_bytes_takes_the_language_model_alone() -> None:
    from transformers import BitsAndBytesConfig

    for bits in ({"load_in_4bit": True}, {"load_in_8bit": True}):
        made = asked(OURS, BitsAndBytesConfig(**bits))["quantization_config"]
        assert made.llm_int8_skip_modules == sorted(WHOLE)
    assert asked(OTHER, BitsAndBytesConfig(load_in_4bit=True))["quantization_config"].llm_int8_skip_modules is None


def test_so_do_the_other_methods() -> None:
    from transformers import EetqConfig

    assert asked(OURS, HqqConfig())["quantization_config"].skip_modules == sorted(WHOLE)
    assert asked(OURS, EetqConfig())["quantization_config"].modules_to_not_convert == sorted(WHOLE)


def test_a_method_that_takes_everything_is_refused_before_loading() -> None:
    with pytest.raises(PathPluginsError, match=r"by Other would take the connector .* quantization_method: bnb"):
        keep_whole(Other())
    with pytest.raises(PathPluginsError, match=r"export_quantization_bit: .* remove the key"):
        asked(OURS, None, export_quantization_bit=4)


@pytest.mark.host
def test_the_parts_are_the_parts_of_a_model(toy: Any) -> None:
    import json
    from pathlib import Path

    from pathplugins.llamafactory.arguments import PathModelArguments
    from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
    from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration

    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    keys["vision_config"] = json.loads(keys["vision_config"])
    made = PathModelArguments(model_name_or_path="custom_llava", **keys)
    model = CustomLlavaForConditionalGeneration(CustomLlavaConfig.from_pretrained(made.model_name_or_path))
    assert {name for name, _ in model.named_children()} == {"model", *WHOLE}


@pytest.mark.host
@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_four_bits_leave_the_connector_its_shape(toy: Any) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    from pathplugins.llamafactory.arguments import PathModelArguments

    made = PathModelArguments(model_name_or_path="custom_llava", **toy.model_keys)
    method = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    keep_whole(method)
    model = AutoModelForImageTextToText.from_pretrained(made.model_name_or_path, quantization_config=method)
    assert model.multi_modal_projector.linear_1.weight.shape == (64, 32)
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
