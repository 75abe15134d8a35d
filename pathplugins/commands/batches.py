"""Batches of prompts as model inputs: while one is answered, the images or bags of the next are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.ahead import in_order


class Prompts(NamedTuple):
    """What is asked at once."""

    texts: Sequence[str]
    """With one ``<image>`` for each of their images."""
    images: Sequence[Sequence[str | Path]]
    """Images or bags of each text."""


def inputs_ahead(processor: Any, batches: Sequence[Prompts]) -> Iterator[Any]:
    """Yield the model inputs of each batch, as ``processor(texts, images)`` makes them.

    Files are read in a thread, one batch ahead; the tokenizer, which bears one thread only, stays in the caller's.

    Raises:
        PathPluginsError: a file cannot be read; in place of its batch.
    """
    from transformers import BatchFeature

    def read(batch: Prompts) -> Any:
        return processor.read_images(batch.images)

    with ThreadPoolExecutor(1) as reader:
        for batch, vision in zip(batches, in_order(reader, read, batches, ahead=1), strict=True):
            counts = [processor.sample_tokens(images) for images in batch.images]
            yield BatchFeature({**processor.text_inputs(batch.texts, counts), **vision})
