"""Chat templates with our multimodal plugin: the stock ones, ``custom_vqa_<name>`` for slides, ``patch_vqa_<name>``."""

from __future__ import annotations

import inspect
import itertools
from types import ModuleType

from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT, SYSTEM_PROMPT
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

BASES = ("llama3", "qwen", "vicuna", "mistral", "gemma", "phi")
"""Stock templates that are offered; ``custom_vqa_llama3`` is the published one."""
KINDS = {"custom_vqa": SYSTEM_PROMPT, "patch_vqa": PATCH_SYSTEM_PROMPT}
"""First part of our names -> system prompt: for whole slides, for single images of tissue."""


def register_templates(module: ModuleType) -> None:
    """Register with ``llamafactory.data.template``, which raises on a name it knows."""
    accepted = inspect.signature(module.register_template).parameters
    from pathplugins.llamafactory.mm_plugin import PLUGIN

    for base, kind in itertools.product(BASES, KINDS):
        name = f"{kind}_{base}"
        if name in module.TEMPLATES or base not in module.TEMPLATES:
            continue
        stock = vars(module.TEMPLATES[base])
        options = {key: stock[key] for key in stock.keys() & accepted.keys()}
        options.update(
            name=name,
            default_system=KINDS[kind],
            mm_plugin=module.get_mm_plugin(PLUGIN, image_token=PLACEHOLDER),
            replace_jinja_template=True,  # so that the saved tokenizer asks the way the model was trained
            template_class=type(module.TEMPLATES[base]),
        )
        module.register_template(**{key: value for key, value in options.items() if key in accepted})
