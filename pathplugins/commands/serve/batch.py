"""Batch: several questions answered in one ``generate``, each answer handed over as soon as it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pathplugins.commands.answering import word_by_word
from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.sampling import Sampling

if TYPE_CHECKING:
    from pathplugins.models.custom_llava.opened_image import OpenedImage


class Answer(NamedTuple):
    """What the model said."""

    text: str
    """Without the tokens that end it and the blanks around it."""
    finish: Literal["stop", "length"]
    """Whether the model ended it, or the limit of tokens did."""
    prompt_tokens: int
    """Of the conversation, those of the image among them."""
    answer_tokens: int


@dataclass(eq=False, kw_only=True)
class Question:
    """What is asked, and where its answer goes."""

    path: Path
    """The bag or image."""
    prompt: str
    """With one ``<image>``, see `pathplugins.commands.prompting`."""
    sampling: Sampling
    on_text: Callable[[str], None] | None = None
    """Called on the engine's thread with each piece of the answer."""
    answer: Future[Answer] = field(default_factory=Future)
    """The answer, or why there is none."""
    dropped: bool = False
    """Nobody waits any longer; may be set from any thread, and ends the row at its next token."""


class Row:
    """The answer to one question while its tokens come.

    Args:
        question: what is asked.
        opened: its file.
        tokenizer: of the model.
        ends: tokens that end an answer.
    """

    def __init__(self, question: Question, opened: OpenedImage, tokenizer: Any, ends: frozenset[int]) -> None:
        self.question, self.opened = question, opened
        self.prompt_tokens = opened.text_length(question.prompt)
        self.done = False
        self._tokenizer, self._ends, self._tokens = tokenizer, ends, []
        self._pieces = None if question.on_text is None else word_by_word(tokenizer, question.on_text)

    @property
    def began(self) -> bool:
        """Whether it has a token."""
        return bool(self._tokens)

    def fail(self, error: Exception) -> None:
        """Tell why there is no answer."""
        self.done = True
        self.question.answer.set_exception(error)

    def take(self, token: int) -> None:
        """Take the next token; a row that is done takes none."""
        if self.done:
            return
        if self.question.dropped:
            self.fail(CancelledError())
            return
        self._tokens.append(token)
        if self._pieces is not None:
            self._pieces.take(token)
        if token in self._ends or len(self._tokens) == self.question.sampling.max_new_tokens:
            self._end("stop" if token in self._ends else "length")

    def _end(self, finish: Literal["stop", "length"]) -> None:
        self.done = True
        if self._pieces is not None:
            self._pieces.end()
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True).strip()
        self.question.answer.set_result(Answer(text, finish, self.prompt_tokens, len(self._tokens)))


def end_tokens(model: Any) -> frozenset[int]:
    """Return the tokens that end an answer, as ``generate`` has them."""
    ends = model.generation_config.eos_token_id
    return frozenset([] if ends is None else [ends] if isinstance(ends, int) else ends)


def answer_rows(model: LoadedModel, rows: Sequence[Row]) -> None:
    """Answer the questions of all rows, each up to its own limit of tokens.

    Args:
        model: of `load_model`.
        rows: several whose tokens are not drawn, or one.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    from pathplugins.models.custom_llava.opened_image import batch_inputs

    class Watch(StoppingCriteria):
        """Hands every token to its row, and ends the rows that are done."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
            for row, token in zip(rows, input_ids[:, -1].tolist(), strict=True):
                row.take(token)
            return torch.tensor([row.done for row in rows], device=input_ids.device)

    sampling = replace(
        rows[0].question.sampling, max_new_tokens=max(row.question.sampling.max_new_tokens for row in rows), num_beams=1
    )
    inputs = batch_inputs([row.opened for row in rows], [row.question.prompt for row in rows])
    tokenizer: Any = model.processor.tokenizer
    with sampling.seeded(model.model.device):
        model.model.generate(
            **inputs,
            **sampling.options(),
            pad_token_id=tokenizer.pad_token_id,
            stopping_criteria=StoppingCriteriaList([Watch()]),
        )
