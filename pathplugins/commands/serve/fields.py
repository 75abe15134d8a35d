"""Fields of a chat completion: those that are obeyed, and the refusal of every other whose value means something."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pathplugins.commands.sampling import Sampling
from pathplugins.commands.serve.refusals import FieldError
from pathplugins.core.registry import unknown

OBEYED = (
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed"),
    *("stream", "stream_options"),
)
LABELS = ("user", "metadata", "safety_identifier", "prompt_cache_key", "parallel_tool_calls")
"""Fields that say nothing about the answer."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ([], ""),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "web_search_options": (),
}
"""Field that is not obeyed -> its values that mean nothing; null never does."""
_SEEDS = 2**32


def check_fields(body: Mapping[str, Any]) -> None:
    """Refuse a request that asks for what is not obeyed.

    Raises:
        FieldError: with the field.
    """
    for name, value in body.items():
        if value is None or name in OBEYED or name in LABELS:
            continue
        if name not in NEUTRAL:
            raise FieldError(unknown("field", name, [*OBEYED, *LABELS, *NEUTRAL]), field=name)
        if not any(
            value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in NEUTRAL[name]
        ):
            said = " or ".join(json.dumps(neutral) for neutral in NEUTRAL[name])
            raise FieldError(
                f"{name} is not supported by this server; leave it out{f', or send {said}' if said else ''}", field=name
            )


def sampling_of(body: Mapping[str, Any], *, longest: int) -> Sampling:
    """Return how the answer is to be generated; without a temperature the likeliest token is taken each time.

    A seed and ``top_p`` beside temperature 0 change nothing, and are taken.

    Args:
        body: of the request.
        longest: tokens of an answer where the request does not say.

    Raises:
        FieldError: a value that cannot be used.
    """
    tokens = _tokens(body, longest)
    temperature = _number(body, "temperature", "0 (the likeliest token) or above", lambda value: value >= 0)
    top_p = _number(body, "top_p", "above 0, at most 1", lambda value: 0 < value <= 1)
    seed = _whole(body, "seed", f"0 to {_SEEDS - 1}", lambda value: 0 <= value < _SEEDS)
    if top_p not in (None, 1) and temperature is None:
        raise FieldError(
            "top_p has no draw to cut: without a temperature this server takes the likeliest token; send one",
            field="top_p",
        )
    if not temperature:
        return Sampling(max_new_tokens=tokens)
    return Sampling(max_new_tokens=tokens, temperature=temperature, top_p=top_p, seed=seed)


def wants_stream(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether the answer is to be streamed, and whether with a last chunk that counts its tokens."""
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is None:
        return stream, False
    if not isinstance(options, dict) or not stream:
        raise FieldError("stream_options is an object, and goes with stream: true", field="stream_options")
    for name, value in options.items():
        if name != "include_usage" and value not in (None, False):
            raise FieldError(f"stream_options.{name} is not supported by this server", field="stream_options")
    return stream, _flag(options, "include_usage")


def _tokens(body: Mapping[str, Any], longest: int) -> int:
    names = ("max_completion_tokens", "max_tokens")
    given = {name: _whole(body, name, "1 or more", lambda value: value >= 1) for name in names}
    told = {value for value in given.values() if value is not None}
    if len(told) > 1:
        raise FieldError("max_tokens and max_completion_tokens differ; send one of them", field="max_tokens")
    return told.pop() if told else longest


def _whole(body: Mapping[str, Any], name: str, wanted: str, fits: Any) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not fits(value):
        raise FieldError(f"{name} is {_shown(value)}, expected a whole number, {wanted}", field=name)
    return value


def _number(body: Mapping[str, Any], name: str, wanted: str, fits: Any) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.inf
    if not math.isfinite(number) or not fits(number):
        raise FieldError(f"{name} is {_shown(value)}, expected a number, {wanted}", field=name)
    return number


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise FieldError(f"{name} is {_shown(value)}, expected true or false", field=name)
    return bool(value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
