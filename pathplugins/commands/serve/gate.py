"""Gate: what every request passes: the end of the server, its key, its limit of bytes; chat completions are counted."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pathplugins.commands.serve.metrics import Metrics
from pathplugins.commands.serve.refusals import ClosingError, KeyRefusedError, TooLargeError, body_of, status_of
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.uploads import too_large
from pathplugins.core.errors import PathPluginsError

COMPLETIONS = "/v1/chat/completions"
OPEN = ("/", "/health")
OPEN_BELOW = "/page/"
"""Paths that need no key: what a browser loads before it can be told one; data never lies there."""
_AROUND = 2**20
"""Bytes of a request beside its file."""
_CLOSING = "the server ends and takes no new requests; ask it again when it is back"

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Gate:
    """Middleware, as ASGI has it.

    Args:
        app: what answers.
        state: of the server.
        metrics: what counts.
    """

    def __init__(self, app: Any, state: ServerState, metrics: Metrics) -> None:
        self._app, self._state, self._metrics = app, state, metrics
        self._most = state.max_upload * 4 // 3 + _AROUND  # a data URL is a third longer than its file

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Answer a request, or refuse it."""
        from starlette.requests import ClientDisconnect

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, said = time.monotonic(), scope.setdefault("state", {})
        status: list[int] = []
        got, counted = 0, False

        def count() -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._state.requests.begin()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        async def receiving() -> Message:
            nonlocal got
            try:
                message = await receive()
            except asyncio.CancelledError:
                if counted or not self._state.requests.closing:
                    raise
                raise ClosingError(_CLOSING) from None  # the server has waited for the rest of it for long enough
            got += len(message.get("body", b""))
            if got > self._most:
                raise TooLargeError(too_large(self._state.max_upload))
            if not counted and message["type"] == "http.request" and not message.get("more_body"):
                count()
                if self._state.requests.closing:
                    raise ClosingError(_CLOSING)
            return message

        if not _has_body(scope):  # one that is still being sent keeps no server from ending
            count()
        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receiving, sending)
            else:
                await _refuse(refusal, sending)
        except ClientDisconnect:  # while its request was read
            said["outcome"] = "left"
        finally:
            if counted:
                self._state.requests.end()
            if scope["path"] == COMPLETIONS:
                outcome = said.get("outcome") or _outcome(status[0] if status else 500)
                self._metrics.request(outcome, time.monotonic() - began)

    def _refusal(self, scope: Message) -> PathPluginsError | None:
        headers = dict(scope["headers"])
        if self._state.requests.closing:
            return ClosingError(_CLOSING)
        key, path = self._state.api_key, scope["path"]
        if key is not None and path not in OPEN and not path.startswith(OPEN_BELOW):
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {key}".encode()):
                return KeyRefusedError("no or wrong API key; send the header `Authorization: Bearer KEY`")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most:
            return TooLargeError(too_large(self._state.max_upload))
        return None


def _has_body(scope: Message) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


def _outcome(status: int) -> str:
    if status == 503:
        return "unavailable"
    return "answered" if status < 400 else "refused" if status < 500 else "failed"


async def _refuse(error: PathPluginsError, send: Send) -> None:
    body = json.dumps(body_of(error)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if isinstance(error, KeyRefusedError) else []
    headers += [(b"retry-after", b"5")] if status_of(error) == 503 else []
    await send({"type": "http.response.start", "status": status_of(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})
