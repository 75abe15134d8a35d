"""Fields are obeyed, or refused by name; values that mean nothing are let through."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.commands.sampling import Sampling
from pathplugins.commands.serve.fields import check_fields, sampling_of, wants_stream
from pathplugins.commands.serve.refusals import FieldError


def sampling(**body: Any) -> Sampling:
    return sampling_of(body, longest=128)


@pytest.mark.parametrize(
    "body",
    [
        {"n": 1, "stop": None, "tools": [], "logprobs": False, "presence_penalty": 0.0, "tool_choice": "none"},
        {"response_format": {"type": "text"}, "user": "me", "metadata": {"a": "b"}, "service_tier": "auto"},
        {"model": "x", "messages": [], "top_k": None},
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_let_through(body: dict[str, Any]) -> None:
    check_fields(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"n": 2}, "n is not supported by this server; leave it out, or send 1"),
        ({"n": True}, "n is not supported"),
        ({"stop": ["\n"]}, 'stop is not supported by this server; leave it out, or send [] or ""'),
        ({"logprobs": True}, "logprobs is not supported by this server; leave it out, or send false"),
        ({"logprobs": 0}, "logprobs is not supported"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"tool_choice": "required"}, "tool_choice is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"frequency_penalty": 0.5}, "frequency_penalty is not supported"),
        ({"logit_bias": {"5": 1}}, "logit_bias is not supported"),
        ({"audio": {}}, "audio is not supported by this server; leave it out"),
        ({"store": True}, "store is not supported"),
        ({"temprature": 0.5}, "unknown field 'temprature'. Did you mean 'temperature'?"),
        ({"top_k": 5}, "unknown field 'top_k'"),
    ],
    ids=str,
)
def test_what_is_not_obeyed_is_refused_by_name(body: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError) as error:
        check_fields(body)
    assert str(error.value).startswith(said)
    assert error.value.field == next(iter(body))


def test_sampling_is_obeyed() -> None:
    assert sampling() == Sampling()
    assert sampling(max_tokens=5) == sampling(max_completion_tokens=5, max_tokens=5) == Sampling(max_new_tokens=5)
    drawn = Sampling(max_new_tokens=128, temperature=0.7, top_p=0.9, seed=3)
    assert sampling(temperature=0.7, top_p=0.9, seed=3) == drawn
    assert sampling(temperature=0, top_p=0.9, seed=3) == sampling(seed=3) == sampling(top_p=1) == Sampling()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_tokens": 0}, "max_tokens is 0, expected a whole number, 1 or more"),
        ({"max_completion_tokens": "5"}, 'max_completion_tokens is "5", expected a whole number'),
        ({"max_tokens": True}, "max_tokens is true, expected"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens and max_completion_tokens differ"),
        ({"temperature": -1}, "temperature is -1, expected a number, 0"),
        ({"temperature": float("inf")}, "temperature is Infinity, expected"),
        ({"temperature": 10**400}, "temperature is 1000"),
        ({"temperature": "x" * 99}, 'temperature is "' + "x" * 59 + "..., expected"),
        ({"temperature": 1, "top_p": 0}, "top_p is 0, expected a number, above 0, at most 1"),
        ({"top_p": 0.5}, "top_p has no draw to cut"),
        ({"temperature": 1, "seed": -1}, "seed is -1, expected a whole number, 0 to 4294967295"),
        ({"temperature": 1, "seed": 1.5}, "seed is 1.5, expected"),
    ],
    ids=str,
)
def test_what_cannot_be_sampled_is_refused(body: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError) as error:
        sampling(**body)
    assert str(error.value).startswith(said)


def test_streams() -> None:
    assert wants_stream({}) == wants_stream({"stream": None}) == (False, False)
    assert wants_stream({"stream": True, "stream_options": {"include_usage": True}}) == (True, True)
    assert wants_stream({"stream": True, "stream_options": {"include_obfuscation": False}}) == (True, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"stream": "yes"}, 'stream is "yes", expected true or false'),
        ({"stream_options": {}}, "stream_options is an object, and goes with stream: true"),
        ({"stream": True, "stream_options": 1}, "stream_options is an object"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation is not",
        ),
    ],
    ids=str,
)
def test_streams_that_are_none(body: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError) as error:
        wants_stream(body)
    assert str(error.value).startswith(said)
