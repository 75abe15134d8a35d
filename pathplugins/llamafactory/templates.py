"""Chat templates with our multimodal plugin.

The stock ones, as ``custom_vqa_<name>`` for slides and ``patch_vqa_<name>`` for images, the two of LLaVA v1.5, and
the exact chat formats of `pathplugins.data.turn_formats` by their names.
"""

from __future__ import annotations

import inspect
import itertools
from types import ModuleType

from pathplugins.data.llava_format import Version
from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT, PATCH_SYSTEM_PROMPT, SYSTEM_PROMPT
from pathplugins.data.turn_formats import FORMATS
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

BASES = ("llama3", "qwen", "vicuna", "mistral", "gemma", "phi")
"""Stock templates that are offered; ``custom_vqa_llama3`` is the published one."""
KINDS = {"custom_vqa": SYSTEM_PROMPT, "patch_vqa": PATCH_SYSTEM_PROMPT}
"""First part of our names -> system prompt: for whole slides, for single images of tissue."""


LLAVA: dict[str, Version] = {"pathgen_plain": "plain", "pathgen_v1": "v1"}
"""Template -> format of LLaVA v1.5, whose first phase is ``plain`` and whose second is ``v1``."""


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
    _register_llava(module)
    _register_turn_formats(module)


def exact_templates() -> tuple[str, ...]:
    """Return the templates that write exactly what a published model has seen."""
    return (*LLAVA, *FORMATS)


def _register_llava(module: ModuleType) -> None:
    from pathplugins.llamafactory.llava_template import PlainTemplate, V1Template
    from pathplugins.llamafactory.mm_plugin import LLAVA_PLUGIN

    for name, template, system in (
        ("pathgen_plain", PlainTemplate, ""),
        ("pathgen_v1", V1Template, LLAVA_SYSTEM_PROMPT),
    ):
        if name not in module.TEMPLATES:
            module.register_template(
                name=name,
                default_system=system,
                mm_plugin=module.get_mm_plugin(LLAVA_PLUGIN, image_token=PLACEHOLDER),
                template_class=template,
            )


def _register_turn_formats(module: ModuleType) -> None:
    from llamafactory.data.formatter import EmptyFormatter, StringFormatter

    from pathplugins.llamafactory.mm_plugin import TURN_PLUGIN
    from pathplugins.llamafactory.turn_templates import TurnTemplate

    def around(*pair: str) -> StringFormatter:
        return StringFormatter(slots=["{{content}}".join(pair)])

    for name in FORMATS:
        if name in module.TEMPLATES:
            continue
        form = FORMATS.get(name)
        # The slots are what is checked against the vocabulary and written for Ollama; the ids are the template's own.
        module.register_template(
            name=name,
            format_prefix=EmptyFormatter(slots=[form.begin] if form.begin else []),
            format_system=around(*(form.system or ("", ""))),
            format_user=around(form.user[0], form.user[1] + form.lead),
            format_assistant=around("", form.end + form.after),
            default_system=form.default_system,
            stop_words=list(form.stop_words[:1]),
            replace_eos=True,
            mm_plugin=module.get_mm_plugin(TURN_PLUGIN, image_token=PLACEHOLDER),
            template_class=TurnTemplate,
        )
        module.TEMPLATES[name].turn_format = form
