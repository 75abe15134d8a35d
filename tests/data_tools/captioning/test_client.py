"""One server: what is asked again, what is not, and when the server is given up."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.captioning.client import Client, Count, FilteredError, UnusableServerError
from pathplugins.data_tools.captioning.pace import Pace
from pathplugins.data_tools.captioning.replies import RowFailedError

BODY = {"model": "m", "messages": [{"role": "user", "content": "Say it."}]}
KEY = "sk-secret-of-the-tests"

pytestmark = pytest.mark.usefixtures("quick")


def client(url: str, *, key: str = "", timeout_s: float = 5, retries: int = 2, count: Count | None = None) -> Client:
    return Client(
        url, key=key, pace=Pace(threading.Event()), count=count or Count(), timeout_s=timeout_s, retries=retries
    )


def in_turn(server: Any, *replies: Any) -> None:
    """These replies first, then answers."""
    server.reply = lambda number, body: replies[number - 1] if number <= len(replies) else None


def test_an_answer_with_its_tokens(server: Any) -> None:
    count = Count()
    reply = client(f"{server.url}/", key=KEY, count=count).ask(BODY)
    assert reply["choices"][0]["message"]["content"] == server.said(BODY)
    assert server.bodies == [BODY]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (count.requests, count.repeated, count.prompt_tokens, count.completion_tokens) == (1, 0, 100, 7)


def test_no_key_no_header_even_with_a_netrc(server: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    client(server.url).ask(BODY)
    client(server.url, key=KEY).ask(BODY)
    assert [headers.get("Authorization") for headers in server.headers] == [None, f"Bearer {KEY}"]


@pytest.mark.parametrize(
    "bad",
    [
        (429, {"error": {"message": "slow down"}}),
        (500, {"error": {"message": "oops"}}),
        (503, "<html>busy</html>"),
        (408, ""),
        "this is no JSON",
    ],
    ids=["429", "500", "503", "408", "no JSON"],
)
def test_asked_again(server: Any, bad: Any) -> None:
    count = Count()
    in_turn(server, (200, bad) if isinstance(bad, str) else bad, bad if isinstance(bad, tuple) else (200, bad))
    assert client(server.url, count=count).ask(BODY)["model"] == "served-1"
    assert (len(server.bodies), count.repeated, count.requests) == (3, 2, 1)


def test_tries_end(server: Any) -> None:
    asker = client(server.url)
    asker.ask(BODY)
    server.reply = lambda number, body: (500, {"error": {"message": "out of memory"}})
    with pytest.raises(RowFailedError, match=r"500 from http.*out of memory \(3 tries\)") as failed:
        asker.ask(BODY)
    assert failed.value.reason == "server error"
    assert len(server.bodies) == 4


@pytest.mark.parametrize("header", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)], ids=["s", "date"])
def test_retry_after_is_honoured_by_all_threads(server: Any, header: Any) -> None:
    in_turn(server, (429, {"error": {"message": "slow down"}}, {"Retry-After": header()}))
    asker = client(server.url)
    first = threading.Thread(target=asker.ask, args=(BODY,))
    first.start()
    while not server.bodies:
        time.sleep(0.005)
    time.sleep(0.1)
    asker.ask(BODY)
    first.join()
    assert [moment - server.times[0] > 0.8 for moment in server.times] == [False, True, True]


def test_a_server_that_hangs(server: Any) -> None:
    in_turn(server, None)
    asker = client(server.url, timeout_s=0.5, retries=1)
    asker.ask(BODY)
    server.reply = lambda number, body: time.sleep(0.8) if number == 2 else None
    assert asker.ask(BODY)["model"] == "served-1"
    server.reply = lambda number, body: time.sleep(0.8)
    with pytest.raises(RowFailedError, match=r"no reply within 0.5 s \(2 tries\)"):
        asker.ask(BODY)


def test_a_rejected_row_fails_at_once(server: Any) -> None:
    server.reply = lambda number, body: (400, {"error": {"message": "image too large", "code": "invalid_image"}})
    with pytest.raises(RowFailedError, match="image too large") as failed:
        client(server.url).ask(BODY)
    assert failed.value.reason == "rejected (400)"
    server.reply = lambda number, body: (400, {"error": {"message": "filtered", "code": "content_filter"}})
    with pytest.raises(FilteredError, match="filtered"):
        client(server.url).ask(BODY)
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((401, {"error": {"message": f"bad key {KEY}"}}), r"401 from http.*bad key \*\*\*; set the key"),
        ((404, {"detail": "Not Found"}), r"404 from http.*Not Found; check --base-url and --model"),
        ((403, {"error": {"message": "not you"}}), "403"),
        ((429, {"error": {"message": "pay first", "code": "insufficient_quota"}}), "pay first"),
    ],
    ids=["401", "404", "403", "quota"],
)
def test_nothing_else_would_work(server: Any, reply: Any, message: str) -> None:
    in_turn(server, reply)
    with pytest.raises(UnusableServerError, match=message):
        client(server.url, key=KEY).ask(BODY)
    assert len(server.bodies) == 1


def test_404_later_is_of_one_row(server: Any) -> None:
    asker = client(server.url)
    asker.ask(BODY)
    server.reply = lambda number, body: (404, {"error": {"message": "gone"}})
    with pytest.raises(RowFailedError, match="gone"):
        asker.ask(BODY)


def test_nobody_listens(server: Any) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(UnusableServerError, match=r"Connection refused.*\(2 tries\)"):
        client(server.url, retries=1).ask(BODY)


def test_a_server_that_dies_is_given_up(server: Any) -> None:
    asker, reasons = client(server.url, retries=0), []
    asker.ask(BODY)
    server.reply = lambda number, body: (502, "bad gateway")
    for _ in range(20):
        if len(reasons) == 5:  # an answer in between: it lives
            server.reply, dead = lambda number, body: None, server.reply
            asker.ask(BODY)
            server.reply = dead
        try:
            asker.ask(BODY)
        except RowFailedError as error:
            reasons.append(error.reason)
        except UnusableServerError as error:
            reasons.append(str(error))
            break
    assert reasons[:-1] == ["server error"] * (5 + 9)
    assert "bad gateway" in reasons[-1]


def test_a_redirect_gets_no_key(server: Any) -> None:
    in_turn(server, (302, "", {"Location": "http://127.0.0.1:1/elsewhere"}))
    with pytest.raises(RowFailedError) as failed:
        client(server.url, key=KEY).ask(BODY)
    assert failed.value.reason == "rejected (302)"


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://host/v1", "http://me:word@host/v1", "http:///v1"])
def test_addresses_that_cannot_be(url: str) -> None:
    with pytest.raises(PathPluginsError, match="--base-url must look like") as failed:
        client(url)
    assert "word@" not in str(failed.value)
