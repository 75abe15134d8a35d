"""Bags and images in requests to LLaMA-Factory's ``api``: handed to the model, or refused with 400 and the reason."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any

from PIL import Image

from pathplugins.core.data_urls import DataURL
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import DAMAGE
from pathplugins.llamafactory.chat_engine import check_asked, is_ours
from pathplugins.llamafactory.media_files import media_file
from pathplugins.models.custom_llava.input_files import reads_of
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

_WEB = ("http://", "https://")


class WithImages:
    """A ``ChatModel`` that gets these images with the next question, in the place of those of LLaMA-Factory.

    Args:
        model: of LLaMA-Factory.
        images: paths and pictures in the order of the request; None for one that LLaMA-Factory fetches from the web.
    """

    def __init__(self, model: Any, images: Sequence[Any]) -> None:
        self.model, self.engine, self.images = model, model.engine, images

    def achat(
        self, messages: Any, system: Any = None, tools: Any = None, images: Any = None, *rest: Any, **options: Any
    ) -> Coroutine[Any, Any, Any]:
        """Answer a question."""
        return self.model.achat(messages, system, tools, self._all(images), *rest, **options)

    def astream_chat(
        self, messages: Any, system: Any = None, tools: Any = None, images: Any = None, *rest: Any, **options: Any
    ) -> AsyncGenerator[str, None]:
        """Answer a question piece by piece."""
        return self.model.astream_chat(messages, system, tools, self._all(images), *rest, **options)

    def _all(self, fetched: Any) -> list[Any]:
        theirs = iter(fetched or [])
        return [next(theirs) if image is None else image for image in self.images]


def answering_with_images(module: ModuleType) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return ``create_chat_completion_response`` of ``llamafactory.api.chat`` for requests with bags and images."""
    original = module.create_chat_completion_response

    async def create_chat_completion_response(request: Any, chat_model: Any) -> Any:
        if not is_ours(chat_model.engine.template):
            return await original(request, chat_model)
        try:
            model = await asyncio.to_thread(with_images, request, chat_model)
            return await original(request, model)
        except PathPluginsError as error:
            raise _bad_request(error) from error

    return create_chat_completion_response


def streaming_with_images(module: ModuleType) -> Callable[..., AsyncGenerator[str, None]]:
    """Return ``create_stream_chat_completion_response``, which refuses before a stream, and with it a 200, begins."""
    original = module.create_stream_chat_completion_response

    def create_stream_chat_completion_response(request: Any, chat_model: Any) -> AsyncGenerator[str, None]:
        if is_ours(chat_model.engine.template):
            try:
                chat_model = with_images(request, chat_model)
            except PathPluginsError as error:
                raise _bad_request(error) from error
        return original(request, chat_model)

    return create_stream_chat_completion_response


def with_images(request: Any, chat_model: Any) -> WithImages:
    """Take bags and images out of a request, leaving ``<image>`` in the text, and check that they can be answered.

    Args:
        request: ``ChatCompletionRequest`` of LLaMA-Factory; its messages are changed.
        chat_model: of LLaMA-Factory, with a model of ours.

    Raises:
        PathPluginsError: there is none, or one that the model cannot read or the server may not.
    """
    processor, images, texts = chat_model.engine.processor, [], []
    for message in request.messages:
        if isinstance(message.content, list):
            message.content = [_taken(item, processor, images) for item in message.content]
            texts.append("".join(item.text or "" for item in message.content if item.type == "text"))
            _put_apart(message.content)
        else:
            texts.append(message.content or "")
    fetched = [PLACEHOLDER for image in images if image is None]  # still in the request, and in no text yet
    asked = check_asked(processor, [{"content": text} for text in [*texts, *fetched]], images)
    return WithImages(chat_model, asked)


def _taken(item: Any, processor: Any, images: list[Any]) -> Any:
    """Return a piece of a message as text, with its image put into ``images``; one from the web as it is."""
    if item.type != "image_url":
        return item
    url = item.image_url.url
    if url.lower().startswith(_WEB) and reads_of(processor) == "images":
        images.append(None)
        return item
    images.append(_picture(url, processor) if url[:5].lower() == "data:" else str(_file(url)))
    return type(item)(type="text", text=PLACEHOLDER)


def _file(url: str) -> Any:
    if url.lower().startswith(_WEB):
        raise PathPluginsError(
            f"{url}: bags are read from files of the server alone; name one below its SAFE_MEDIA_PATH"
        )
    return media_file(url.removeprefix("file://"))


def _picture(url: str, processor: Any) -> Image.Image:
    """Return the picture that a data URL holds."""
    parsed = DataURL.parse(url)
    if reads_of(processor) == "bags":
        raise PathPluginsError(
            f"this model reads feature bags of slides (H5), not {parsed.kind or 'data'}; put the path of a bag below "
            "the server's SAFE_MEDIA_PATH into image_url"
        )
    content = parsed.content()
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.convert("RGB")
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise PathPluginsError(f"the picture of {parsed.head}... cannot be read: {error}; send a whole file") from error


def _put_apart(content: list[Any]) -> None:
    """Write an image and the text beside it in lines of their own, as in training."""
    for before, after in itertools.pairwise(content):
        if before.type == after.type == "text" and PLACEHOLDER in (before.text, after.text):
            before.text = f"{before.text}\n"


def _bad_request(error: PathPluginsError) -> Exception:
    from fastapi import HTTPException

    return HTTPException(status_code=400, detail=str(error))
