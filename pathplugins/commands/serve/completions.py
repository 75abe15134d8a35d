"""Chat completions: a request read, its question asked, the answer sent whole or piece by piece."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pathplugins.commands.sampling import Sampling
from pathplugins.commands.serve.asked_files import AskedFiles
from pathplugins.commands.serve.batch import Answer, Question
from pathplugins.commands.serve.fields import check_fields, sampling_of, wants_stream
from pathplugins.commands.serve.messages import read_messages
from pathplugins.commands.serve.metrics import Metrics
from pathplugins.commands.serve.refusals import FieldError, UnknownModelError, body_of
from pathplugins.commands.serve.replies import Reply, event
from pathplugins.commands.serve.state import ServerState
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

_SEEDS = 2**32
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Completions:
    """Answers ``POST /v1/chat/completions``.

    Args:
        state: of the server.
        files: finds what messages name.
        metrics: what counts.
    """

    def __init__(self, state: ServerState, files: AskedFiles, metrics: Metrics) -> None:
        self._state, self._files, self._metrics = state, files, metrics

    async def create(self, request: Request) -> Response:
        """Answer a request; whatever can be refused is, before a stream begins."""
        from starlette.responses import JSONResponse, Response, StreamingResponse

        body = await read_object(request)
        check_fields(body)
        self._check_model(body.get("model"))
        sampling = _seeded(sampling_of(body, longest=self._state.max_new_tokens))
        stream, count = wants_stream(body)
        talk = read_messages(body.get("messages"), reads=self._state.model.reads, model=self._state.name)
        path = await self._files.ready(talk.file)
        told = _Told(request)
        try:
            question = self._state.engine.submit(path, talk.messages, sampling, told.put if stream else None)
            question.answer.add_done_callback(told.put)
            first = await told.next()
        except BaseException:
            told.close()
            raise
        reply = Reply(self._state.name)
        if stream and first is not None:
            events = self._events(request, reply, question, told, first, count=count)
            return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        told.close()
        if not isinstance(first, Answer):
            question.dropped = True
            request.state.outcome = "left"
            return Response(status_code=499)  # nobody reads it
        self._metrics.answer(first)
        return JSONResponse(reply.whole(first))

    async def _events(
        self, request: Request, reply: Reply, question: Question, told: _Told, first: str | Answer, *, count: bool
    ) -> AsyncIterator[bytes]:
        """Yield the events of a stream; a client that leaves ends its question."""
        request.state.outcome = "left"  # until it is known better; a client that leaves ends this by cancelling it
        try:
            yield reply.begin()
            said: str | Answer | None = first
            while isinstance(said, str):
                yield reply.piece(said)
                said = await told.next()
            if said is not None:
                self._metrics.answer(said)
                yield reply.end(said, count=count)
                request.state.outcome = "answered"
        except (PathPluginsError, RuntimeError) as error:  # the status is sent: what is left is an event
            logger.exception("an answer that was being streamed failed")
            request.state.outcome = "failed"
            yield event(body_of(error))
        finally:
            question.dropped = True
            told.close()

    def _check_model(self, name: Any) -> None:
        known = (self._state.name, self._state.model.name)
        if name is not None and name not in known:
            raise UnknownModelError(f"this server has no model {name!r}; it has {self._state.name!r}", field="model")


class _Told:
    """What the engine says of one question, handed over from its thread; ends when the client leaves."""

    def __init__(self, request: Request) -> None:
        self._loop, self._queue = asyncio.get_running_loop(), asyncio.Queue()
        self._gone = asyncio.ensure_future(_gone(request))

    def put(self, said: str | Future[Answer]) -> None:
        """Take a piece of the answer, or all of it; called on any thread."""
        with suppress(RuntimeError):  # the loop is closed: the server was ended at once
            self._loop.call_soon_threadsafe(self._queue.put_nowait, said)

    async def next(self) -> str | Answer | None:
        """Return the next piece, or the answer at its end; None where the client left before.

        Raises:
            PathPluginsError: the question could not be answered.
        """
        said = asyncio.ensure_future(self._queue.get())
        await asyncio.wait({said, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            said.cancel()
            return None
        found = said.result()
        if isinstance(found, str):
            return found
        try:
            return found.result()
        except OSError as error:
            raise PathPluginsError(f"the file can be read no longer ({error.strerror}); name it again") from error

    def close(self) -> None:
        """Look after the client no longer."""
        self._gone.cancel()


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request holds.

    Raises:
        FieldError: it holds something else.
    """
    sent = await request.body()
    try:
        text = sent.decode("utf-8-sig")
        body = json.loads(text)
        if _SURROGATE.search(text):  # two of them are a character, one alone is none
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise FieldError(f"the request is no JSON in UTF-8 ({error})", field="body") from error
    if not isinstance(body, dict):
        raise FieldError("the request is no JSON object; send one with messages", field="body")
    return body


async def _gone(request: Request) -> None:
    """Wait until the client leaves; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seeded(sampling: Sampling) -> Sampling:
    """Return a draw with a seed: where the client gives none, another each time."""
    if not sampling.temperature or sampling.seed is not None:
        return sampling
    return replace(sampling, seed=secrets.randbelow(_SEEDS))
