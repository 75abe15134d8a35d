"""Quantization: the language model alone, as in XTuner; tower, selector, connector and head stay whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pathplugins.core.errors import PathPluginsError

WHOLE = ("vision_tower", "token_selector", "multi_modal_projector", "lm_head")
"""Modules that stay as they are: they are trained, or as good as nothing beside the language model."""
_NAMED_BY = {
    "BitsAndBytesConfig": "llm_int8_skip_modules",
    "HqqConfig": "skip_modules",
    "EetqConfig": "modules_to_not_convert",
}
"""Configuration of a method -> its field with the modules that stay whole."""


def whole_parts(quantization: ModuleType) -> Callable[..., None]:
    """Return LLaMA-Factory's ``configure_quantization``, which then leaves the parts of our models whole.

    Quantized, a connector never moves (its packed weights have no gradient), and neither it nor an adapter that holds
    it can be put into another model.
    """
    original = quantization.configure_quantization
    signature = inspect.signature(original)  # 0.9.4 put is_trainable between the arguments of 0.9.3

    def configure_quantization(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        ours = getattr(given["config"], "model_type", None) == "custom_llava"
        if ours and getattr(given["model_args"], "export_quantization_bit", None) is not None:
            raise PathPluginsError(
                "export_quantization_bit: GPTQ is calibrated on text alone and does not know this model; remove the "
                "key, and quantize when the model is loaded (quantization_bit)"
            )
        original(*args, **kwargs)
        asked = given["init_kwargs"].get("quantization_config")
        if ours and asked is not None:
            keep_whole(asked)

    return configure_quantization


def keep_whole(asked: Any) -> None:
    """Leave the parts of our models out of a quantization, in place.

    Raises:
        PathPluginsError: a method that is not known to leave modules out.
    """
    name = _NAMED_BY.get(type(asked).__name__)
    if name is None or not hasattr(asked, name):
        raise PathPluginsError(
            f"quantization by {type(asked).__name__} would take the connector and the vision tower, too, which could "
            "not be trained then; set quantization_method: bnb"
        )
    setattr(asked, name, sorted({*(getattr(asked, name) or ()), *WHOLE}))
