"""Files that a user names in a chat of LLaMA-Factory (``/bag FILE``), in a terminal or in ``webchat``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.chat_engine import check_asked, is_ours
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

OPENED, REFUSED = "[pathplugins] looking at ", "[pathplugins] not answered: "
"""How what is said in the place of an answer begins; such a turn is no part of the conversation."""
_FILE = re.compile(r"""^[ \t]*/(?:bag|image|slide)\b[ \t]*("[^"\n]+"|'[^'\n]+'|[^\s"']+)?[ \t]*""", re.MULTILINE)


class Asked(NamedTuple):
    """A conversation as the model is to see it."""

    messages: list[dict[str, str]]
    """From the question that named the files on."""
    files: list[str]
    """What the conversation is about, as typed."""
    question: str
    """The last one; empty where files were named and nothing was asked."""


def conversation(messages: Sequence[Mapping[str, str]]) -> Asked:
    """Return what is asked about which files; a file named anew begins a new conversation.

    Args:
        messages: of LLaMA-Factory, the last one without an answer.

    Raises:
        PathPluginsError: the last message has ``/bag`` or ``/image`` and no file after it.
    """
    kept: list[dict[str, str]] = []
    files: list[str] = []
    opened: list[str] = []  # in a turn of their own, for the next question
    text = ""
    for message, after in zip(messages, [*messages[1:], None], strict=True):
        content = message["content"]
        if message["role"] != "user":
            if not content.startswith((OPENED, REFUSED)):
                kept.append({**message})
            continue
        named, text = split(content)
        said = after["content"] if after is not None else ""
        if said.startswith(REFUSED):
            continue
        if said.startswith(OPENED):
            opened = named
            continue
        if named or opened:
            files, opened, kept = named or opened, [], []
            content = f"{PLACEHOLDER * len(files)}\n{text}"
        kept.append({**message, "content": content})
    return Asked(kept, files, text)


def split(text: str) -> tuple[list[str], str]:
    """Return the files that a message names, and the rest of it.

    Raises:
        PathPluginsError: a line has ``/bag`` or ``/image`` and no file after it.
    """
    found = list(_FILE.finditer(text))
    if bare := next((match for match in found if match[1] is None), None):
        raise PathPluginsError(f"{bare[0].strip()} names no file; write {bare[0].strip()} FILE, with blanks in quotes")
    return [match[1].strip("\"'") for match in found], _FILE.sub("", text).strip()


def with_files(model: type, place: Callable[[str], Path]) -> type:
    """Return a ``ChatModel`` whose user names files in the messages and reads why something is not answered.

    Args:
        model: ``ChatModel`` of LLaMA-Factory or a subclass.
        place: file name as typed -> path, or a `PathPluginsError` where it may not be read.
    """

    class ChatModel(model):
        def stream_chat(
            self,
            messages: Sequence[Mapping[str, str]],
            system: str | None = None,
            tools: str | None = None,
            images: Sequence[Any] | None = None,
            *rest: Any,
            **options: Any,
        ) -> Iterator[str]:
            if not is_ours(self.engine.template):
                yield from super().stream_chat(messages, system, tools, images, *rest, **options)
                return
            try:
                asked = conversation(messages)
                files = [str(place(name)) for name in asked.files]
                if files and images:
                    raise PathPluginsError(
                        f"there is an image in the box beside {', '.join(asked.files)}; take one of them away"
                    )
                if files and not asked.question:
                    check_asked(self.engine.processor, [], files)
                    yield f"{OPENED}{', '.join(files)}; ask about it"
                    return
                yield from super().stream_chat(asked.messages, system, tools, files or images, *rest, **options)
            except PathPluginsError as error:
                yield f"{REFUSED}{error}"

    ChatModel.__name__ = model.__name__
    return ChatModel


def chatting_about_files(module: ModuleType) -> Callable[[], None]:
    """Return ``run_chat`` of ``llamafactory.chat.chat_model``, in which files of this machine can be named."""
    original = module.run_chat

    def run_chat() -> None:
        stock = module.ChatModel
        module.ChatModel = with_files(stock, lambda name: Path(name).expanduser())
        try:
            original()
        finally:
            module.ChatModel = stock

    return run_chat
