"""Opened image: a bag or image whose vision tokens are computed once, however often it is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class OpenedImage:
    """One bag or image, read and encoded.

    Where the token selector looks at the question, only the reading is done once.

    Args:
        model: `custom_llava`, with or without a PEFT adapter, in evaluation mode.
        processor: of the model.
        path: the bag or image.
    """

    def __init__(self, model: Any, processor: Any, path: str | Path) -> None:
        self._model, self._processor = model, processor
        self._placeholders = processor.num_image_tokens(path)
        vision = processor.image_processor([path]).to(model.device)
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        if not base.token_selector.needs_prompt:
            with torch.no_grad():
                tokens, counts = base.get_image_features(**vision)  # [K, H]
            vision = {"vision_tokens": tokens, "vision_counts": torch.tensor(counts)}
            (self._placeholders,) = counts
        self._vision: dict[str, Tensor] = dict(vision)

    def inputs(self, prompt: str) -> dict[str, Tensor]:
        """Return what ``generate`` takes for a prompt with one ``<image>``, all on the model's device."""
        text = self._processor.text_inputs([prompt], [[self._placeholders]])
        return {**{name: value.to(self._model.device) for name, value in text.items()}, **self._vision}
