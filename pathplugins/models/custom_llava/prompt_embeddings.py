"""Prompt embeddings: what the language model of a `custom_llava` reads, for an engine that runs that part alone.

Axes: T positions of the prompt, vision tokens among them; H width of the language model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoConfig

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.models.custom_llava.opened_image import OpenedImage
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS


class VisionSide(CustomLlavaForConditionalGeneration):
    """A `custom_llava` whose language model has no layers: tower, selector, connector and token embedding are left."""

    _keys_to_ignore_on_load_unexpected: ClassVar[list[str]] = [r"^(model|lm_head)\."]


def load_vision_side(directory: Path, *, device: str = "cpu", dtype: torch.dtype | None = None) -> VisionSide:
    """Load what comes before the language model's layers, and not those: of a model of 8 billion parameters about 1.5.

    Args:
        directory: composed, trained or merged model directory.
        device: torch's name of the device.
        dtype: of the weights; the checkpoint's when None.

    Raises:
        CheckpointError: the directory lacks weights.
    """
    config = AutoConfig.from_pretrained(directory)
    config.text_config.num_hidden_layers = 0
    if getattr(config.text_config, "layer_types", None) is not None:
        config.text_config.layer_types = []
    model, found = VisionSide.from_pretrained(
        directory, config=config, torch_dtype=dtype or "auto", output_loading_info=True
    )
    if missing := sorted(found["missing_keys"]):
        raise CheckpointError(f"{directory} lacks {len(missing)} weights ({missing[0]}, ...); copy or export all again")
    return model.to(device).eval()


def prompt_embeddings(model: Any, opened: OpenedImage, prompt: str) -> Tensor:
    """Return the embeddings [T, H] of a prompt about an opened bag or image, vision tokens in their places.

    Given to the language model as ``inputs_embeds`` they are the whole prompt; positions count from 0.

    Args:
        model: `VisionSide` or a whole `custom_llava`, the one of ``opened``.
        opened: the bag or image.
        prompt: with one ``<image>``.

    Raises:
        PathPluginsError: the model attends to its prompt in both directions, which embeddings do not say.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if base.config.use_prefix_lm_mask:
        raise PathPluginsError(
            "use_prefix_lm_mask: this model reads its prompt in both directions, which an engine that takes embeddings "
            "does not; ask it with `pathplugins ask` or serve it with `pathplugins serve`"
        )
    inputs = opened.inputs(prompt)
    vision = {name: inputs.get(name) for name in VISION_INPUTS}
    with torch.no_grad():
        embeds, surplus = base._embed(inputs["input_ids"], inputs["attention_mask"], vision, prompt=True)  # [1, T, H]
    return embeds[0] if surplus is None else embeds[0, ~surplus[0]]
