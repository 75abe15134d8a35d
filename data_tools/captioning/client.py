"""Client of one chat-completions server, with retries.

The protocol is OpenAI's (https://platform.openai.com/docs/api-reference/chat), which vLLM and LLaMA-Factory's ``api``
speak too.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

from .pace import Pace
from .replies import RowFailedError, Usage, error_code, error_text, is_filtered, usage_of

FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_HOLD_S = 1.0, 60.0, 600.0
IN_VAIN = 10  #: consecutive requests that fail after all their tries before the run gives up on the server
_CONNECT_S = 10.0


class OptionNames(NamedTuple):
    """How the options of a server are called where it was given, for messages."""

    url: str = "--base-url"
    model: str = "--model"
    key: str = "--api-key-env"


OPTIONS = OptionNames()


class UnusableServerError(PathPluginsError):
    """The server cannot be used: the next request would fail as well."""


class FilteredError(RowFailedError):
    """A content filter turned the request down."""


@dataclass(kw_only=True)
class Count:
    """Counters of requests and tokens of a run; threads may share it."""

    requests: int = 0
    """Replies with status 200, whatever their content: they are paid for."""
    repeated: int = 0
    """Tries beyond the first."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    """Replies that report no token counts."""
    known: int = 0
    """Answers that the cache had."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def add(self, usage: Usage | None) -> None:
        """Count a reply."""
        with self._lock:
            self.requests += 1
            self.prompt_tokens += usage.prompt if usage else 0
            self.completion_tokens += usage.completion if usage else 0
            self.uncounted += usage is None

    def to_json(self) -> dict[str, int]:
        """Return the counters as plain values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def know(self) -> None:
        """Count an answer found in the cache."""
        with self._lock:
            self.known += 1

    def repeat(self) -> None:
        """Count a try beyond the first."""
        with self._lock:
            self.repeated += 1


class _Fault(Exception):
    """One try failed; a retry may succeed."""

    def __init__(self, reason: str, detail: str, wait_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reason, self.wait_s = reason, wait_s


class Client:
    """Sends requests to one server, from any number of threads."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str,
        pace: Pace,
        count: Count,
        timeout_s: float,
        retries: int,
        names: OptionNames = OPTIONS,
    ) -> None:
        """Prepare a client of the server at ``base_url``, which usually ends in ``/v1``; ``key`` may be empty."""
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname or address.username is not None:
            raise PathPluginsError(
                f"{names.url} must look like http://HOST:PORT/v1, without a user or password (a key comes from the "
                f"environment, see {names.key})"
            )
        self.url = f"{base_url.rstrip('/').removesuffix('/chat/completions')}/chat/completions"
        self._requests = need("requests", extra="pathgen")
        self._key, self._pace, self._count = key, pace, count
        self._timeout_s, self._retries, self._names = timeout_s, retries, names
        self._sessions = threading.local()
        self._reached, self._in_vain, self._lock = False, 0, threading.Lock()

    def ask(self, body: dict[str, Any]) -> Any:
        """Send a request and return the JSON of the reply.

        Raises:
            RowFailedError: the server refused it, or gave no answer after all tries.
            UnusableServerError: further requests would fail as well.
            StoppedError: the run is being stopped.
        """
        for tries in itertools.count(1):
            try:
                return self._try(body)
            except _Fault as fault:
                if tries > self._retries:
                    raise self._given_up(fault, tries) from fault
                wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.0)
                self._pace.sleep(max(wait_s, fault.wait_s))
            self._count.repeat()

    def _try(self, body: dict[str, Any]) -> Any:
        reserved, failures = self._pace.turn(), self._requests.exceptions
        try:
            reply = self._session().post(
                self.url, json=body, timeout=(_CONNECT_S, self._timeout_s), allow_redirects=False
            )
        except failures.ConnectTimeout as error:
            raise _Fault("no connection", self._safe(error)) from error
        except failures.Timeout as error:
            raise _Fault("timeout", f"no reply within {self._timeout_s:g} s") from error
        except (failures.ConnectionError, failures.ChunkedEncodingError, failures.ContentDecodingError) as error:
            raise _Fault("no connection", self._safe(error)) from error
        except failures.RequestException as error:  # an invalid address or header
            raise UnusableServerError(f"{self.url}: {self._safe(error)}") from error
        content = _json(reply)
        if reply.status_code != 200:
            raise self._fault(reply, reply.text[:500] if content is None else content)
        if content is None:
            raise _Fault("unreadable reply", f"not JSON: {self._safe(reply.text[:200])!r}")
        self._note(reserved, content)
        return content

    def _fault(self, reply: Any, content: Any) -> Exception:
        """Return the exception that stands for a reply other than 200."""
        status, text = reply.status_code, self._safe(error_text(content))
        said = f"{status} from {self.url}: {text}"
        if status == 401 or error_code(content) == "insufficient_quota" or (status in (403, 404) and not self._reached):
            names = self._names
            advice = {
                401: f"set the key in the environment ({names.key})",
                404: f"check {names.url} and {names.model}",
            }
            return UnusableServerError("; ".join(filter(None, (said, advice.get(status)))))
        if status in (408, 409, 429) or status >= 500:
            wait_s = _retry_after_s(reply.headers.get("Retry-After"))
            if status == 429 and wait_s:
                self._pace.hold(wait_s)
            return _Fault("too many requests" if status == 429 else "server error", said, wait_s)
        if is_filtered(content):
            return FilteredError("content_filter", text)
        return RowFailedError(f"rejected ({status})", said)

    def _given_up(self, fault: _Fault, tries: int) -> Exception:
        detail = f"{fault} ({tries} tries)"
        with self._lock:
            self._in_vain += 1
            lost = self._in_vain >= IN_VAIN or (fault.reason == "no connection" and not self._reached)
        return UnusableServerError(f"{self.url}: {detail}") if lost else RowFailedError(fault.reason, detail)

    def _note(self, reserved: float, content: Any) -> None:
        """Count a reply and its tokens, of which ``reserved`` were set aside for it."""
        usage = usage_of(content)
        with self._lock:
            self._reached, self._in_vain = True, 0
        self._count.add(usage)
        self._pace.settle(reserved, sum(usage) if usage else 0)

    def _session(self) -> Any:
        """Return this thread's session: sessions keep connections open and must not be shared."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = self._requests.Session()
            self._sessions.session.auth = _bearer(self._key)
        return self._sessions.session

    def _safe(self, text: object) -> str:
        """Return a text for messages with the key masked, in case a server or proxy echoed it."""
        return str(text).replace(self._key, "***") if self._key else str(text)


def _bearer(key: str) -> Callable[[Any], Any]:
    """Return a function that adds the key; used as ``auth``, since a ``.netrc`` would replace a plain header."""

    def signed(request: Any) -> Any:
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    return signed


def _json(reply: Any) -> Any:
    """Return the JSON of a reply; None if it is not JSON."""
    try:
        return reply.json()
    except ValueError:
        return None


def _retry_after_s(value: str | None) -> float:
    """Return the seconds that a Retry-After header (a number or a date) asks for; 0 without one."""
    if not value:
        return 0.0
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(wait_s, 0.0), LONGEST_HOLD_S)
