"""Multimodal plugin: expands ``<image>`` and reads images or bags when a batch is made."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llamafactory.data.mm_plugin import BasePlugin
from PIL import Image

import pathplugins
from pathplugins.data.llava_format import image_first
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER, CustomLlavaImageProcessor

PLUGIN, LLAVA_PLUGIN, TURN_PLUGIN = "pathplugins", "pathplugins_llava", "pathplugins_turns"
IMAGE_TOKEN = "image_token"
"""Key that `LlavaPlugin` adds to a message: what stands for an image in it, which its template has to know."""
IMAGES = "pathplugins_images"
"""Key that `TurnPlugin` adds: the token of an image, and how many of it each image of the message takes."""


@dataclass
class PathologyPlugin(BasePlugin):
    """One ``<image>`` is one image or one H5 bag, worth as many tokens as its processor says."""

    version: str = pathplugins.__version__  # seen by the datasets cache: a new release tokenizes anew

    def process_messages(
        self, messages: list[dict[str, str]], images: Any, videos: Any, audios: Any, processor: Any
    ) -> list[dict[str, str]]:
        """Expand the placeholders of a conversation, in order."""
        self._validate_input(processor, images, videos, audios)
        self._validate_messages(messages, images, videos, audios)
        messages, left = deepcopy(messages), iter(self._counts(images, processor))
        for message in messages:
            while PLACEHOLDER in message["content"]:
                message["content"] = message["content"].replace(PLACEHOLDER, _MARK * next(left), 1)
            message["content"] = message["content"].replace(_MARK, processor.image_token)
        return messages

    def get_mm_inputs(
        self,
        images: Any,
        videos: Any,
        audios: Any,
        imglens: list[int],
        vidlens: list[int],
        audlens: list[int],
        batch_ids: list[list[int]],
        processor: Any,
    ) -> dict[str, Any]:
        """Return the packed vision inputs of a batch.

        In training the patches and tokens drawn depend on (seed, epoch, file name, tokens of the sample), so that a run
        repeats on any number of workers and ranks; in evaluation and generation on the file name alone. The two answers
        of a preference are about the same draw: theirs depends on (seed, epoch, file name).
        """
        self._validate_input(processor, images, videos, audios)
        if len(images) == 0:
            return {}
        if not _reads_bags(processor):
            images = [as_picture(image) for image in images]
        elif isinstance(images[0], Image.Image):
            return dict(_null_bag(images, processor))
        epoch = getattr(processor, "sampling_epoch", None)
        samples = {"samples": imglens} if _reads_bags(processor) else {}
        if epoch is None:
            return dict(processor.image_processor(images, **samples))
        by_text = getattr(processor, "sampling_by_text", True)
        texts = [np.asarray(ids).tobytes() for ids, owned in zip(batch_ids, imglens, strict=True) for _ in range(owned)]
        keys = [_name(image).encode() + b"\0" + text * by_text for image, text in zip(images, texts, strict=True)]
        return dict(processor.image_processor(images, keys=keys, epoch=int(epoch), **samples))

    def _counts(self, images: Any, processor: Any) -> list[int]:
        """Return the tokens that stand for each image of a sample."""
        return sample_tokens(images, processor) if self.expand_mm_tokens else [1] * len(images)


@dataclass
class LlavaPlugin(PathologyPlugin):
    """The same for templates of LLaVA v1.5, where images stand at the front of their turn."""

    def process_messages(
        self, messages: list[dict[str, str]], images: Any, videos: Any, audios: Any, processor: Any
    ) -> list[dict[str, str]]:
        """Move the placeholders of a conversation to the front of their turns and expand them, in order."""
        moved = [{**message, "content": image_first(message["content"])} for message in messages]
        expanded = super().process_messages(moved, images, videos, audios, processor)
        return [{**message, IMAGE_TOKEN: processor.image_token} for message in expanded]


@dataclass
class TurnPlugin(PathologyPlugin):
    """Counts the tokens of images; their placeholders stay until the template has put them into place."""

    def process_messages(
        self, messages: list[dict[str, str]], images: Any, videos: Any, audios: Any, processor: Any
    ) -> list[dict[str, Any]]:
        """Note in each message how many tokens its images take."""
        self._validate_input(processor, images, videos, audios)
        self._validate_messages(messages, images, videos, audios)
        counts = iter(self._counts(images, processor))
        noted = []
        for message in messages:
            owned = [next(counts) for _ in range(message["content"].count(PLACEHOLDER))]
            noted.append({**message, IMAGES: (processor.image_token, owned)})
        return noted


_MARK = "\0"  # so that an image token that is itself spelt `<image>` is not expanded again


def _reads_bags(processor: Any) -> bool:
    return isinstance(processor.image_processor, CustomLlavaImageProcessor)


def sample_tokens(images: Any, processor: Any) -> list[int]:
    """Return how many vision tokens each image of a sample takes; slides of a case may share its rows."""
    if _reads_bags(processor) and not any(isinstance(image, Image.Image) for image in images):
        return processor.sample_tokens(images)
    return [image_tokens(image, processor) for image in images]


def image_tokens(image: Any, processor: Any) -> int:
    """Return how many vision tokens an image takes, whatever LLaMA-Factory hands on as one."""
    if not _reads_bags(processor):
        return processor.num_image_tokens(as_picture(image))
    if isinstance(image, Image.Image):
        return processor.image_processor.null_tokens
    return processor.num_image_tokens(image)


def _name(image: str | Path | Image.Image) -> str:
    """Return the file name; a picture that comes as pixels has none, and is told by the text of its sample."""
    return "" if isinstance(image, Image.Image) else Path(image).name


def as_picture(image: Any) -> str | Path | Image.Image:
    """Return a path or a Pillow image, whatever LLaMA-Factory and ``datasets`` hand on as an image."""
    if isinstance(image, dict):  # a Parquet column of images
        image = image["path"] if image.get("bytes") is None else image["bytes"]
    if isinstance(image, bytes):
        image = io.BytesIO(image)
    return image if isinstance(image, str | Path | Image.Image) else Image.open(image)


def _null_bag(images: list[Any], processor: Any) -> Any:
    """Return inputs for the blank picture that LLaMA-Factory puts behind a mask; refuse any other picture."""
    if len(images) > 1 or images[0].size != (64, 64):
        raise ValueError(
            "this model looks at H5 feature bags, not at pictures: pass the path of a .h5 file as the image"
        )
    return processor.image_processor.null_inputs()
