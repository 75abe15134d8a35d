"""Answering: one answer about an opened bag or image, whole or word by word as it is generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.sampling import Sampling
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from pathplugins.models.custom_llava.opened_image import OpenedImage
from pathplugins.models.custom_llava.positions import positions_of


def open_file(model: LoadedModel, path: Path, *more: Path) -> OpenedImage:
    """Read and encode a bag or image that is asked about, or the several of a case."""
    from pathplugins.models.custom_llava.opened_image import OpenedImage

    return OpenedImage(model.model, model.processor, path, *more)


def check_length(model: LoadedModel, length: int, *, hint: str) -> None:
    """Refuse a text beyond the positions of the language model: what it says there means nothing.

    Args:
        model: of `load_model`.
        length: tokens of the prompt, its image and the answer.
        hint: what to do instead.
    """
    most = positions_of(model.model.config.text_config)
    if most is not None and length > most:
        raise PathPluginsError(
            f"the conversation and an answer are {length} tokens, the language model reads {most}; {hint}"
        )


def answer(
    model: LoadedModel,
    opened: OpenedImage,
    prompt: str,
    sampling: Sampling,
    *,
    on_text: Callable[[str], None] | None = None,
) -> str:
    """Answer a prompt (see `pathplugins.commands.prompting`) about an opened bag or image.

    Args:
        model: of `load_model`.
        opened: of `open_file`, with the same model.
        prompt: with an ``<image>`` for each that was opened.
        sampling: length of the answer, and how its tokens are chosen.
        on_text: called with each piece of the answer as soon as it is final; with beams once, at the end.

    Returns:
        The answer, without the tokens that end it and the blanks around it.

    Raises:
        PathPluginsError: prompt and answer are longer than the language model reads.
    """
    tokenizer: Any = model.processor.tokenizer
    options, inputs = sampling.options(), opened.inputs(prompt)
    length = inputs["input_ids"].shape[1] + sampling.max_new_tokens
    check_length(model, length, hint="ask for less, or with a smaller --max-new-tokens")
    if on_text is not None and sampling.streams:
        options["streamer"] = word_by_word(tokenizer, on_text)
    with sampling.seeded(model.model.device):
        output = model.model.generate(**inputs, **options, pad_token_id=tokenizer.pad_token_id)
    text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    if on_text is not None and not sampling.streams:
        on_text(text)
    return text


def word_by_word(tokenizer: Any, on_text: Callable[[str], None]) -> Any:
    """Return a streamer of Transformers that hands on an answer without the blanks around it.

    Returns:
        A ``TextStreamer``; its ``take(token)`` is ``put`` for one token of the answer, where no prompt comes before.
    """
    import torch
    from transformers import TextStreamer

    class Pieces(TextStreamer):
        blanks: str | None = None  # what may turn out to be the end of the answer; None before its first word

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            said = text.lstrip() if self.blanks is None else self.blanks + text
            if not said.strip():
                self.blanks = None if self.blanks is None else said
                return
            end = len(said.rstrip())
            self.blanks = said[end:]
            on_text(said[:end])

        def take(self, token: int) -> None:
            self.next_tokens_are_prompt = False
            self.put(torch.tensor([token]))

    return Pieces(tokenizer, skip_prompt=True, skip_special_tokens=True)
