"""Opened image: a bag or image, or those of a case, whose vision tokens are computed once for all questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor


class KeptTokens(NamedTuple):
    """Which candidates of one image are its vision tokens."""

    indices: Tensor
    """[K] int64 rows of the candidates, ascending; see `pathplugins.models.selectors.base.Kept`."""
    scores: Tensor | None
    """[N] float32: what the candidates were ranked by."""
    count: int
    """Vision tokens as the language model sees them: those that the connector adds, the slide's CLS token where the
    tower has one, those of the rows, and one that is no candidate where the selector adds one. Where the connector
    gives a fixed number, none of them is a row's."""


class OpenedImage:
    """One bag or image, or the several that one question is about, read and encoded.

    Where the token selector looks at the question, only the reading is done once.

    Args:
        model: `custom_llava`, with or without a PEFT adapter, in evaluation mode.
        processor: of the model.
        path: the bag or image.
        *more: the others of the case, in their order.
    """

    def __init__(self, model: Any, processor: Any, path: str | Path, *more: str | Path) -> None:
        self.path = Path(path)
        self._model, self._processor = model, processor
        self._base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._placeholders: list[int] = processor.sample_tokens([path, *more])
        self._kept: KeptTokens | None = None
        vision = processor.read_images([[path, *more]]).to(model.device)
        if not self._base.token_selector.needs_prompt:
            with torch.no_grad():
                chosen = self._base.select_image_tokens(**vision)
                tokens, counts = self._base.project(chosen, [*range(1 + len(more))])  # [sum K, H]
            if not more:
                self._kept = KeptTokens(chosen.indices, chosen.scores, *counts)
            vision = {"vision_tokens": tokens, "vision_counts": torch.tensor(counts)}
            self._placeholders = counts
        self._vision: dict[str, Tensor] = dict(vision)

    @property
    def nbytes(self) -> int:
        """Memory that it holds, on the model's device for the most part."""
        return sum(each.nbytes for each in self._vision.values())

    def inputs(self, prompt: str) -> dict[str, Tensor]:
        """Return what ``generate`` takes for a prompt with an ``<image>`` for each, all on the model's device."""
        return batch_inputs([self], [prompt])

    def text_length(self, prompt: str) -> int:
        """Return the tokens of a prompt with an ``<image>`` for each, those of the images among them."""
        return self._processor.text_inputs([prompt], [self._placeholders])["input_ids"].shape[1]

    def kept(self, prompt: str) -> KeptTokens:
        """Return which candidates are the vision tokens of a prompt; of most selectors the same for every prompt.

        For one image that was opened alone.
        """
        if self._kept is not None:
            return self._kept
        with torch.no_grad():
            chosen = self._base.select_image_tokens(**self.inputs(prompt))
        return KeptTokens(chosen.indices, chosen.scores, *self._base.connected(chosen.counts))


def batch_inputs(opened: Sequence[OpenedImage], prompts: Sequence[str]) -> dict[str, Tensor]:
    """Return what ``generate`` takes for several prompts, each with an ``<image>`` for those of its opened image.

    Args:
        opened: of one model; the same may stand there more than once.
        prompts: as many.

    Returns:
        ``input_ids`` and ``attention_mask`` [B, T], padded on the left, and the vision inputs of all, on the model's
        device.
    """
    first = opened[0]
    text = first._processor.text_inputs(prompts, [each._placeholders for each in opened])
    vision = {name: torch.cat([each._vision[name] for each in opened]) for name in first._vision}
    return {**{name: value.to(first._model.device) for name, value in text.items()}, **vision}
