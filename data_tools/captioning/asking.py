"""Answer one prompt about one image: from the batch results, else from the cache, else from the server."""

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
class RequestOptions:
    """The fields of a request other than the question."""

    temperature: float | None = 0.0
    max_tokens: int = 512
    extra: Mapping[str, Any]
    """Further fields of the body; a field set to None is left out of the request."""

    def body(self, model: str, prompt: str, image: bytes | None) -> dict[str, Any]:
        """Return the body of a ``/v1/chat/completions`` request; the image precedes the text, as in training."""
        content: Any = prompt
        if image is not None:
            data = f"data:image/{media_type(image)};base64,{base64.b64encode(image).decode()}"
            content = [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": prompt}]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        body |= {"temperature": self.temperature, "max_tokens": self.max_tokens, **self.extra}
        return {name: value for name, value in body.items() if value is not None}

    def sampling(self) -> dict[str, Any]:
        """Return the fields that shape an answer, which are part of its cache key."""
        return {"temperature": self.temperature, **self.extra}


@dataclass(frozen=True)
class Asker:
    """Finds one stage's answers: in batch results, in the cache, or by a request to the server."""

    model: str
    options: RequestOptions
    cache: AnswerCache
    client: Client | None
    """None: no server, batch results only."""
    count: Count
    results: Mapping[str, str] | None
    """Key -> error, of the batch results given to this run (their answers are in the cache); None without results."""
    retry_refused: bool = False

    def answer(self, prompt: str, image: bytes | None) -> Answer:
        """Return the answer or refusal.

        Raises:
            RowFailedError: there is no answer.
            UnusableServerError, StoppedError: the run cannot continue.
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
    """Return the key that joins a line of a batch file to its row: a hash of the question, without the model."""
    return answer_key(image, prompt)[:24]
