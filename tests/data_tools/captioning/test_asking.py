"""Where an answer comes from: the results of a batch, the cache, the server, in this order."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data_tools.captioning.asking import Asker, RequestOptions, batch_key
from pathplugins.data_tools.captioning.cache import AnswerCache
from pathplugins.data_tools.captioning.client import Count, FilteredError
from pathplugins.data_tools.captioning.replies import Answer, RowFailedError

PNG = b"\x89PNG\r\n\x1a\nrest"


class Server:
    """Stands for `Client`: keeps what it was asked, answers one text."""

    def __init__(self, error: Exception | None = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.error = error

    def ask(self, body: dict[str, Any]) -> Any:
        self.bodies.append(body)
        if self.error:
            raise self.error
        return {"model": "served", "choices": [{"message": {"content": f"tissue {len(self.bodies)}"}}]}


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        yield cache


def asker(cache: AnswerCache, client: Any, results: dict[str, str] | None = None, **more: Any) -> Asker:
    return Asker("vlm", RequestOptions(extra={"seed": 1}), cache, client, Count(), results, **more)


def test_the_body_of_a_request() -> None:
    body = RequestOptions(temperature=None, max_tokens=9, extra={"seed": 1}).body("vlm", "What?", PNG)
    picture, text = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,")) == PNG
    assert {**body, "messages": 0} == {"model": "vlm", "messages": 0, "max_tokens": 9, "seed": 1}


def test_a_question_is_asked_once(cache: AnswerCache) -> None:
    server = Server()
    first = asker(cache, server)
    assert first.answer("What?", PNG) == Answer("tissue 1", "served")
    assert asker(cache, server).answer("What?", PNG).text == "tissue 1"
    assert asker(cache, server).answer("What?", None).text == "tissue 2"
    other = Asker("llm", RequestOptions(extra={}), cache, server, Count(), None)  # type: ignore[arg-type]
    assert other.answer("What?", PNG).text == "tissue 3"


def test_results_of_a_batch_come_first(cache: AnswerCache) -> None:
    server, key = Server(), batch_key("What?", PNG)
    cache.replace_results([(key, Answer("from the batch", "gpt"))])
    assert asker(cache, server, {}).answer("What?", PNG).text == "from the batch"
    assert asker(cache, server).answer("What?", PNG).text == "tissue 1"  # no results given to this run


def test_without_a_server_what_the_batch_lacks_fails(cache: AnswerCache) -> None:
    with pytest.raises(RowFailedError, match="not in the results") as error:
        asker(cache, None, {}).answer("What?", PNG)
    assert error.value.reason == "no answer"
    with pytest.raises(RowFailedError, match="too long") as error:
        asker(cache, None, {batch_key("What?", PNG): "too long"}).answer("What?", PNG)
    assert error.value.reason == "failed in the batch"


def test_a_refusal_is_kept_and_asked_again_on_demand(cache: AnswerCache) -> None:
    filtered = asker(cache, Server(FilteredError("content_filter", "declined")))
    assert filtered.answer("What?", PNG) == Answer("declined", "vlm", "content_filter")
    server = Server()
    assert asker(cache, server).answer("What?", PNG).refused == "content_filter"
    assert asker(cache, server, retry_refused=True).answer("What?", PNG) == Answer("tissue 1", "served")
