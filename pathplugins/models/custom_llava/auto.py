"""Make ``from_pretrained`` of Transformers' Auto classes know `custom_llava`.

Installed, the post-import hook registers the configuration when Transformers' ``configuration_auto`` is imported, and
the first configuration made registers the rest: by then no module of Transformers is half imported. Without the hook,
call `register`.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

CONFIGURATION = "pathplugins.models.custom_llava.configuration_custom_llava"


def apply(name: str, module: ModuleType) -> None:
    """The post-import hook of ``transformers.models.auto.configuration_auto``."""
    del name
    half_imported = sys.modules.get(CONFIGURATION)
    if half_imported is not None and not hasattr(half_imported, "CustomLlavaConfig"):
        return  # it is what imports Transformers at this moment, and registers itself at its end
    config = importlib.import_module(CONFIGURATION).CustomLlavaConfig
    module.AutoConfig.register(config.model_type, config, exist_ok=True)


@functools.cache
def register() -> None:
    """Configuration, model and processor. May be called any number of times."""
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
    from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
    from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaProcessor

    AutoConfig.register(CustomLlavaConfig.model_type, CustomLlavaConfig, exist_ok=True)
    AutoModelForImageTextToText.register(CustomLlavaConfig, CustomLlavaForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(CustomLlavaConfig, CustomLlavaProcessor, exist_ok=True)
