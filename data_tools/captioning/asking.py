"""Asking: from a prompt and an image to an answer, of a batch file, of the cache or of a server, in this order."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .cache import AnswerCache, answer_key
from .client import Client, Count, FilteredError
from .replies import Answer, RowFailedError, answer_of
from .rows import media_type


@dataclass(frozen=True, kw_only=True)
class Options:
    """What goes into a request beside the question."""

    temperature: float | None = 0.0
    max_tokens: int = 512
    extra: Mapping[str, Any]
    """Further fields of the body; one that is None takes the field of that name out."""

    def body(self, model: str, prompt: str, image: bytes | None) -> dict[str, Any]:
        """A request of ``/v1/chat/completions``; the image goes before the text, as models are trained."""
        content: Any = prompt
        if image is not None:
            data = f"data:image/{media_type(image)};base64,{base64.b64encode(image).decode()}"
            content = [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": prompt}]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        body |= {"temperature": self.temperature, "max_tokens": self.max_tokens, **self.extra}
        return {name: value for name, value in body.items() if value is not None}

    def sampling(self) -> dict[str, Any]:
        """The part that shapes an answer."""
        return {"temperature": self.temperature, **self.extra}


@dataclass(frozen=True)
class Asker:
    """Where the answers of one stage come from."""

    model: str
    options: Options
    cache: AnswerCache
    client: Client | None
    """None asks nobody."""
    count: Count
    results: Mapping[str, str] | None
    """The batch files given to this run are in the cache; these are their errors: key -> what went wrong."""
    retry_refused: bool = False

    def answer(self, prompt: str, image: bytes | None) -> Answer:
        """The answer or refusal.

        Raises:
            RowFailedError: there is none.
            UnusableServerError, StoppedError: the run is over.
        """
        fault = "not in the results"
        if self.results is not None:
            key = batch_key(prompt, image)
            found = self.cache.get(key, table="results")
            if found and not (found.refused and self.retry_refused and self.client):
                return found
            fault = self.results.get(key, fault)
        if self.client is None:
            raise RowFailedError("no answer" if fault == "not in the results" else "failed in the batch", fault)
        key = answer_key(image, self.model, prompt, self.options.sampling())
        found = self.cache.get(key)
        if found and not (found.refused and self.retry_refused):
            self.count.know()
            return found
        answer = self._ask(self.client, prompt, image)
        self.cache.put(key, answer)
        return answer

    def _ask(self, client: Client, prompt: str, image: bytes | None) -> Answer:
        try:
            return answer_of(client.ask(self.options.body(self.model, prompt, image)), self.model)
        except FilteredError as error:
            return Answer(str(error), self.model, error.reason)


def batch_key(prompt: str, image: bytes | None) -> str:
    """What connects a line of a batch file with a row: the question alone, whoever answers it."""
    return answer_key(image, prompt)[:24]
