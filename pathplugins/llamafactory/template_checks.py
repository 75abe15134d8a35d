"""Refuse a template of another family of language models before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.chat_markers import absent_markers, families


def with_family_check(module: ModuleType) -> Callable[..., Any]:
    """Return LLaMA-Factory's ``get_template_and_fix_tokenizer``, which first compares template and tokenizer.

    A stop word that the tokenizer lacks becomes a new token there, for which the model has no row: the first step would
    end in an IndexError. Stock templates are left alone.
    """
    original = module.get_template_and_fix_tokenizer

    def get_template_and_fix_tokenizer(tokenizer: Any, data_args: Any) -> Any:
        template = module.TEMPLATES.get(data_args.template)
        if template is not None:
            _refuse_foreign(data_args.template, template, tokenizer)
        return original(tokenizer, data_args)

    return get_template_and_fix_tokenizer


def _refuse_foreign(name: str, template: Any, tokenizer: Any) -> None:
    from pathplugins.llamafactory.mm_plugin import PathologyPlugin
    from pathplugins.llamafactory.templates import BASES, KINDS

    if not isinstance(template.mm_plugin, PathologyPlugin):
        return
    vocabulary = tokenizer.get_vocab()
    absent = absent_markers(written(template), vocabulary)
    if not absent:
        return
    kind = next((kind for kind in KINDS if name.startswith(f"{kind}_")), next(iter(KINDS)))
    fitting = [family for family in families(vocabulary) if family in BASES] or ["vicuna", "mistral"]
    raise PathPluginsError(
        f"template: {name} writes {', '.join(absent)}, which the tokenizer of {tokenizer.name_or_path} does not have; "
        f"the template must be one of the language model's family: set template: "
        f"{' or '.join(f'{kind}_{family}' for family in fitting)}"
    )


def written(template: Any) -> str:
    """Return everything a template of LLaMA-Factory writes around questions and answers."""
    formats = (template.format_prefix, template.format_system, template.format_user, template.format_assistant)
    slots = [slot for formatter in formats for slot in formatter.slots]
    return "".join([*(slot for slot in slots if isinstance(slot, str)), *template.stop_words])
