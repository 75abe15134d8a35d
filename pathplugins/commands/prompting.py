"""Prompts for generation: a question in the chat template that the model was trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import SYSTEM_PROMPT
from pathplugins.data.records import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def conversation(tokenizer: PreTrainedTokenizerBase, question: str) -> str:
    """Return the prompt for a question about one image, which is put before the question."""
    return prompt(tokenizer, f"{IMAGE_PLACEHOLDER}\n{question}")


def prompt(tokenizer: PreTrainedTokenizerBase, user: str, *, system: str | None = None) -> str:
    """Return the prompt for a turn of the user, by the chat template of the tokenizer.

    Our system prompt is used where the template has none of its own.

    Args:
        tokenizer: the model's own.
        user: what the user says, with ``<image>`` where images belong.
        system: system prompt in place of the template's or ours.

    Raises:
        PathPluginsError: the tokenizer has no chat template, or one without a place for ``system``.
    """
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise PathPluginsError(
            "the tokenizer has no chat template, so nobody knows how this model was asked in training; ask a trained "
            "model, or compose from an instruction-tuned language model"
        )

    def render(*system: str) -> str:
        turns = [{"role": "system", "content": text} for text in system]
        turns.append({"role": "user", "content": user})
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    if system is not None:
        return _with_system(render, system)
    plain = render()
    try:
        with_ours = render(SYSTEM_PROMPT)
    except TemplateError:  # the template refuses a system turn
        return plain
    # A template with a prompt of its own writes a system turn in any case, so that ours replaces it and adds little.
    return with_ours if len(with_ours) - len(SYSTEM_PROMPT) > len(plain) else plain


def _with_system(render: Callable[..., str], system: str) -> str:
    from jinja2 import TemplateError

    try:
        text = render(system)
    except TemplateError:
        text = ""
    if system.strip() not in text:
        raise PathPluginsError(
            "the chat template of this model has no place for a system prompt; leave --system out, or write it into "
            "the question"
        )
    return text
