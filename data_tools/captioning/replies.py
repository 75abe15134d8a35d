"""Parse chat completions: whether a reply is an answer, a refusal, or an error."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

CONTENT_FILTER = "content_filter"
CUT_OFF = "cut off"  #: reason of a row whose answer reached the token limit
_FILTERED = (CONTENT_FILTER, "content_policy_violation")  #: error codes of services that filter before they answer

_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""Thinking that the server did not separate from the answer."""
_HELP = (
    r"(?:(?:help|assist|provide|comply|fulfil+|answer|analy[sz]e|interpret|view|process|do that)\b"
    r"|(?:see|describe|identify)(?: \w+){0,2} (?:image|picture|photo)s?\b)"
)
_REFUSES = re.compile(
    r"\A\W*(?:(?:i['’]?m|i am) (?:very |really |so )?sorry|sorry|i apologi[sz]e|as an ai\b[^.!?]{0,60}|unfortunately)?"
    r"[\s,;:.]*(?:but |however,? )?"
    r"(?:i (?:can['’]?t|cannot|can not|won['’]?t|will not|am not able to|am unable to)|i['’]m (?:not able|unable) to)"
    rf" {_HELP}",
    re.IGNORECASE,
)
"""The first words of a refusal. Strict on purpose: "I cannot exclude ..." is a finding, like all that comes later."""


class Answer(NamedTuple):
    """The text a model replied with."""

    text: str
    model: str
    """As the server calls it."""
    refused: str = ""
    """Why this is a refusal; empty for an answer."""


class Usage(NamedTuple):
    """Token counts of a reply."""

    prompt: int
    completion: int


class RowFailedError(Exception):
    """One row got no answer; the run continues with the next."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """A short reason to count by."""


def answer_of(body: Any, model: str) -> Answer:
    """Return the answer or refusal in a chat completion.

    Args:
        body: the JSON of the reply.
        model: the model that was asked; used where the reply names none.

    Raises:
        RowFailedError: the answer is cut at the token limit, empty, or the body is no chat completion.
    """
    if isinstance(body, dict) and body.get("error"):
        raise RowFailedError("server error", error_text(body))
    try:
        choice = body["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content"), message.get("refusal")
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise RowFailedError("unreadable reply", f"no choices[0].message in {str(body)[:200]!r}") from error
    if isinstance(content, list):  # of pieces, as some servers send it
        content = "".join(piece.get("text") or "" for piece in content if isinstance(piece, dict))
    text = _THINKING.sub("", content if isinstance(content, str) else "").strip()
    model = body.get("model") or model
    if half_character(text + str(refusal or "")):
        raise RowFailedError("unreadable reply", f"half a character in {text[:80]!a}")
    if ended == CONTENT_FILTER:
        return Answer(text, model, CONTENT_FILTER)
    if refusal:
        return Answer(str(refusal), model, "refusal")
    if ended == "length":
        raise RowFailedError(CUT_OFF, f"reached --max-tokens; it begins {text[:80]!r}")
    if not text:
        raise RowFailedError("empty answer", f"no text (finish_reason {ended!r})")
    if _REFUSES.match(text):
        return Answer(text, model, "refusing words")
    return Answer(text, model)


def half_character(text: str) -> bool:
    r"""Return whether a text holds half of a surrogate pair (JSON ``"\ud83d"``), which cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def usage_of(body: Any) -> Usage | None:
    """Return the token counts in a reply; None if it reports none."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(*counts) if all(isinstance(count, int) for count in counts) else None


def error_text(body: Any) -> str:
    """Return the error text of a reply, in the shapes of OpenAI, vLLM and FastAPI."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return str(error)[:500]


def error_code(body: Any) -> str:
    """Return the code of an error; empty if it has none."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def is_filtered(body: Any) -> bool:
    """Return whether an error says that a content filter declined the request."""
    return error_code(body) in _FILTERED
