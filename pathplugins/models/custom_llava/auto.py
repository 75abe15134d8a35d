"""Make ``from_pretrained`` of Transformers' Auto classes know `custom_llava`.

Installed, the post-import hook registers the configuration when Transformers' ``configuration_auto`` is imported, and
the first configuration made registers the rest: by then no module of Transformers is half imported. Without the hook,
call `register`. The three classes are named here and imported when they are registered, as the configuration imports
this module.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType

from pathplugins.core.registry import loaded

_HERE = "pathplugins.models.custom_llava"
CONFIGURATION = f"{_HERE}.configuration_custom_llava"
CONFIG_CLASS = f"{CONFIGURATION}:CustomLlavaConfig"
MODEL_CLASS = f"{_HERE}.modeling_custom_llava:CustomLlavaForConditionalGeneration"
PROCESSOR_CLASS = f"{_HERE}.processing_custom_llava:CustomLlavaProcessor"


def apply(name: str, module: ModuleType) -> None:
    """Register the configuration: the post-import hook of ``transformers.models.auto.configuration_auto``."""
    del name
    half_imported = sys.modules.get(CONFIGURATION)
    if half_imported is not None and not hasattr(half_imported, "CustomLlavaConfig"):
        return  # it is what imports Transformers at this moment, and registers itself at its end
    config = loaded(CONFIG_CLASS)
    module.AutoConfig.register(config.model_type, config, exist_ok=True)


@functools.cache
def register() -> None:
    """Register configuration, model and processor; may be called any number of times."""
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    config = loaded(CONFIG_CLASS)
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModelForImageTextToText.register(config, loaded(MODEL_CLASS), exist_ok=True)
    AutoProcessor.register(config, loaded(PROCESSOR_CLASS), exist_ok=True)
