"""Replies: answers in the form of OpenAI's chat completions, whole or as server-sent events."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from pathplugins.commands.serve.batch import Answer

DONE = b"data: [DONE]\n\n"
"""Ends a stream."""


class Reply:
    """The reply to one request; all its parts carry the same id.

    Args:
        model: what the model is called.
    """

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the completion for an answer."""
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage(answer)}

    def begin(self) -> bytes:
        """Return the event that begins a stream."""
        return self._event([self._choice({"role": "assistant", "content": ""})])

    def piece(self, text: str) -> bytes:
        """Return the event for a piece of the answer."""
        return self._event([self._choice({"content": text})])

    def end(self, answer: Answer, *, count: bool) -> bytes:
        """Return the events that end a stream; with ``count`` one says how many tokens there were."""
        last = self._event([self._choice({}, answer.finish)])
        counted = self._event([], usage=usage(answer)) if count else b""
        return last + counted + DONE

    def _choice(self, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event({**self._head, "object": "chat.completion.chunk", "choices": choices, **more})


def event(data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def usage(answer: Answer) -> dict[str, int]:
    """Return what an answer took in tokens."""
    asked, told = answer.prompt_tokens, answer.answer_tokens
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}
