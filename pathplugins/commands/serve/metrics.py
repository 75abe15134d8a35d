"""Metrics of the server, for Prometheus."""

from __future__ import annotations

from pathplugins.commands.serve.batch import Answer
from pathplugins.commands.serve.engine import Engine
from pathplugins.core.optional import need

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """What is counted of one server; two servers in one process count apart.

    Args:
        engine: whose batches and queue are looked at.
    """

    def __init__(self, engine: Engine) -> None:
        prometheus = need("prometheus_client", extra="serve")
        self._latest, self.content_type = prometheus.generate_latest, prometheus.CONTENT_TYPE_LATEST
        self._registry = registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "pathplugins_requests", "Chat completions, by what became of them", ["outcome"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            "pathplugins_request_seconds", "From a request to the end of its reply", buckets=_SECONDS, registry=registry
        )
        self._tokens = prometheus.Counter(
            "pathplugins_tokens", "Of conversations (prompt) and answers", ["kind"], registry=registry
        )
        sizes = prometheus.Histogram(
            "pathplugins_batch_size", "Questions answered at once", buckets=_SIZES, registry=registry
        )
        engine.on_batch = sizes.observe
        for name, text, value in (
            ("waiting_questions", "That no batch has taken yet", lambda: engine.waiting),
            ("opened_files", "Files whose vision tokens are kept", lambda: len(engine.opened)),
            ("opened_bytes", "Memory of these", lambda: engine.opened.nbytes),
        ):
            prometheus.Gauge(f"pathplugins_{name}", text, registry=registry).set_function(value)

    def request(self, outcome: str, seconds: float) -> None:
        """Count a request.

        Args:
            outcome: ``answered``, ``refused`` (a fault of the request), ``failed``, ``unavailable`` (too many waited,
                or the server ended) or ``left`` (the client did).
            seconds: that it took.
        """
        self._requests.labels(outcome).inc()
        self._seconds.observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Count the tokens of an answer."""
        self._tokens.labels("prompt").inc(answer.prompt_tokens)
        self._tokens.labels("answer").inc(answer.answer_tokens)

    def text(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return self._latest(self._registry)
