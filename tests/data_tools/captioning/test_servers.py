"""Which model, server and key answer each stage."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("requests")

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.captioning.client import Count
from pathplugins.data_tools.captioning.servers import KEY_NAME, ServerOptions, stage_clients

A, B = "http://a:1/v1", "http://b:2/v1"
STAGES = ["describe", "revise", "summarise"]


def clients(stages: list[str] = STAGES, **options: Any) -> list[Any]:
    return stage_clients(ServerOptions(**options), stages, Count(), threading.Event())


def test_stages_share_a_client_where_server_and_key_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, "sk-a")
    monkeypatch.setenv("OTHER", "sk-b")
    (_, first), (model, second), (_, third) = clients(
        base_url=A,
        model="vlm",
        stage_url={"summarise": B},
        stage_model={"revise": "llm"},
        stage_key_env={"summarise": "OTHER"},
    )
    assert first is second is not third
    assert model == "llm"
    assert (first.url, third.url) == (f"{A}/chat/completions", f"{B}/chat/completions")
    assert (first._key, third._key) == ("sk-a", "sk-b")


def test_a_key_goes_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, "sk-a")
    (_, first), (_, second) = clients(STAGES[:2], base_url=A, model="vlm", stage_url={"revise": B})
    assert (first._key, second._key) == ("sk-a", "")


def test_without_a_server_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_NAME, raising=False)
    assert clients(STAGES[:1]) == [("", None)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": A}, "--model is needed for stage describe"),
        (
            {"base_url": A, "model": "m", "stage_url": {"revize": B}},
            "unknown stage in --stage-url 'revize'. Did you mean 'revise'",
        ),
        ({"base_url": A, "model": "m", "api_key_env": "UNSET_KEY"}, "UNSET_KEY holds no key .*export UNSET_KEY="),
        ({"base_url": "ftp://a", "model": "m"}, "--base-url must look like http://HOST:PORT/v1"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        clients(**options)


@pytest.mark.parametrize(("name", "value"), [("retries", -1), ("timeout", 0), ("tokens_per_minute", 0.5)])
def test_limits_that_are_too_low(name: str, value: float) -> None:
    with pytest.raises(PathPluginsError, match=f"--{name.replace('_', '-')} must be at least .*, got {value:g}"):
        ServerOptions(**{name: value})
