"""A model directory as modules without memory: what a recipe names is looked up in it before the model is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

_OF_WRAPPERS = (
    *("base_model.model", "base_layer", "lora_A.default", "lora_B.default", "lora_embedding_A", "lora_embedding_B"),
    *("lora_magnitude_vector", "modules_to_save", "original_module", "pretrained_model", "v_head.summary", "llm"),
)
"""What PEFT, the value head of a reward model and XTuner put into the names of weights."""


def unloaded_model(directory: Path) -> Any:
    """Return the model of a `custom_llava` directory on the meta device.

    None under ZeRO-3, where Transformers shards whatever is built.
    """
    from transformers.integrations import is_deepspeed_zero3_enabled

    from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
    from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration

    if is_deepspeed_zero3_enabled():
        return None
    config = CustomLlavaConfig.from_pretrained(directory)
    with torch.device("meta"):
        return CustomLlavaForConditionalGeneration(config)


def naming_nothing(keys: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the keys that are part of no name, whatever PEFT and others will put into it.

    A key is looked at between its dots, for adapters stand between the parts of a name.

    Args:
        keys: parts of names of weights.
        names: of the weights of a model that nothing has been put around.
    """
    known = "\n".join([*names, *_OF_WRAPPERS])
    return sorted(key for key in keys if not all(piece in known for piece in key.split(".")))
