"""Rate limits: when the next request to a server may be sent, for all threads that use it."""

from __future__ import annotations

import threading
import time


class StoppedError(Exception):
    """The run is being stopped; no further request is sent."""


class Pace:
    """Spaces requests evenly, so that no minute has more requests or tokens than the limits."""

    def __init__(
        self, stop: threading.Event, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Start with no request sent; ``stop`` ends all waiting, and a limit of None is no limit."""
        self._stop = stop
        self._request_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._lock = threading.Lock()
        self._next = self._tokens_next = self._held_until = time.monotonic()
        self._mean = 0.0  # running mean of the tokens of a request

    def turn(self) -> float:
        """Wait until a request may be sent.

        Returns:
            The tokens reserved for it, to be passed to ``settle``.

        Raises:
            StoppedError: the run is being stopped.
        """
        with self._lock:
            now, reserved = time.monotonic(), self._mean
            start = max(now, self._next, self._tokens_next, self._held_until)
            self._next = max(now, self._next) + self._request_s
            self._tokens_next = max(now, self._tokens_next) + reserved * self._token_s
        self.sleep(start - now)
        return reserved

    def settle(self, reserved: float, tokens: int) -> None:
        """Correct the pace by the ``tokens`` a request took, compared with those that ``turn`` reserved for it."""
        with self._lock:
            self._tokens_next += (tokens - reserved) * self._token_s
            self._mean = 0.9 * self._mean + 0.1 * tokens if self._mean else float(tokens)

    def hold(self, seconds: float) -> None:
        """Send no request for ``seconds``, because the server asked for a pause."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is being stopped.

        Raises:
            StoppedError: the run is being stopped.
        """
        if self._stop.wait(max(0.0, seconds)):
            raise StoppedError
