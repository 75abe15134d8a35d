"""Prompts for generation: a question in the chat template that the model was trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import SYSTEM_PROMPT
from pathplugins.data.records import IMAGE_PLACEHOLDER
from pathplugins.data.turn_formats import format_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_TOLD = "Told."

Turns = Sequence[tuple[str, str]]
"""(question, answer) of the turns of a conversation that are over."""


def conversation(
    tokenizer: PreTrainedTokenizerBase, question: str, *, before: Turns = (), system: str | None = None, images: int = 1
) -> str:
    """Return the prompt for a question about an image, or several of a case, which are put before the first question.

    Args:
        tokenizer: the model's own.
        question: what the user asks now.
        before: the conversation up to here.
        system: see `prompt`.
        images: how many.

    Raises:
        PathPluginsError: see `prompt`, or the chat template does not take the conversation.
    """
    first, *others = [*(asked for asked, _ in before), question]
    return prompt(
        tokenizer,
        f"{IMAGE_PLACEHOLDER * images}\n{first}",
        after=[(told, asked) for (_, told), asked in zip(before, others, strict=True)],
        system=system,
    )


def prompt(tokenizer: PreTrainedTokenizerBase, user: str, *, after: Turns = (), system: str | None = None) -> str:
    """Return the prompt for a turn of the user, by the chat template of the tokenizer.

    Our system prompt is used where none is given and the template has none of its own.

    Args:
        tokenizer: the model's own.
        user: what the user says, with ``<image>`` where images belong.
        after: (answer, what the user said then) of the turns after the first.
        system: a system prompt instead.

    Raises:
        PathPluginsError: the tokenizer has no chat template, or no place for ``system``, or that is empty, or a text
            is none in UTF-8.
    """
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise PathPluginsError(
            "the tokenizer has no chat template, so nobody knows how this model was asked in training; ask a trained "
            "model, or compose from an instruction-tuned language model"
        )

    for text in (user, system or "", *(text for turn in after for text in turn)):
        check_text(text)

    def render(*system: str) -> str:
        turns = [{"role": "system", "content": text} for text in system]
        turns.append({"role": "user", "content": user})
        for told, asked in after:
            turns += [{"role": "assistant", "content": told}, {"role": "user", "content": asked}]
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    if system is not None:
        return _with_system(render, system)
    plain = render()
    if format_of(tokenizer.chat_template):  # the model has seen what the format says, also where that is no system turn
        return plain
    try:
        with_ours = render(SYSTEM_PROMPT)
    except TemplateError:  # the template refuses a system turn
        return plain
    # A template with a prompt of its own writes a system turn in any case, so that ours replaces it and adds little.
    return with_ours if len(with_ours) - len(SYSTEM_PROMPT) > len(plain) else plain


def check_text(text: str) -> None:
    """Refuse what is no text in UTF-8, as a terminal or a pipe of another encoding gives it: no tokenizer takes it."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PathPluginsError(f"{text[:60]!a} is no text in UTF-8; write it in that encoding")


def _with_system(render: Callable[..., str], system: str) -> str:
    """Return a conversation under a system prompt that the user gave, or refuse one that the template drops."""
    from jinja2 import TemplateError

    if not system.strip():
        raise PathPluginsError("--system is empty; leave it out for the system prompt of the training")
    try:
        text = render(system)
    except TemplateError as error:
        raise PathPluginsError(
            f"--system: the chat template of this model takes no system prompt ({error}); leave it out"
        ) from error
    if system.strip() not in text:
        raise PathPluginsError("--system: the chat template of this model leaves system prompts out; leave it out")
    return text


def before_answer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the blanks that the chat template writes between a prompt and its answer: LLaVA v1.5 has one there."""
    asked = [{"role": "user", "content": "?"}]
    told = [*asked, {"role": "assistant", "content": _TOLD}]
    ends = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(told, tokenize=False)
    between = whole[len(ends) :].partition(_TOLD)[0] if whole.startswith(ends) else ""
    return "" if between.strip() else between
