"""Pace: when the next request may go, for all threads that ask one server."""

from __future__ import annotations

import threading
import time


class StoppedError(Exception):
    """The run is being stopped; nothing more is asked."""


class Pace:
    """Spaces requests evenly, so that no minute has more of them, or of their tokens, than the limits."""

    def __init__(
        self, stop: threading.Event, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """``stop`` ends all waiting; None is no limit."""
        self._stop = stop
        self._request_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._lock = threading.Lock()
        self._next = self._tokens_next = self._held_until = time.monotonic()
        self._mean = 0.0  # tokens of a request, as far as replies have told

    def turn(self) -> float:
        """Wait until a request may go.

        Returns:
            The tokens set aside for it, to be given back to ``settle``.

        Raises:
            StoppedError: the run is being stopped.
        """
        with self._lock:
            now, aside = time.monotonic(), self._mean
            start = max(now, self._next, self._tokens_next, self._held_until)
            self._next = max(now, self._next) + self._request_s
            self._tokens_next = max(now, self._tokens_next) + aside * self._token_s
        self.sleep(start - now)
        return aside

    def settle(self, aside: float, tokens: int) -> None:
        """A request took ``tokens``; those after it wait for the difference to what was set aside."""
        with self._lock:
            self._tokens_next += (tokens - aside) * self._token_s
            self._mean = 0.9 * self._mean + 0.1 * tokens if self._mean else float(tokens)

    def hold(self, seconds: float) -> None:
        """The server asked for a pause: nobody asks it anything before that is over."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is being stopped.

        Raises:
            StoppedError: it is.
        """
        if self._stop.wait(max(0.0, seconds)):
            raise StoppedError
