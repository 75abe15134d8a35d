"""Check the types of the values in a configuration before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.value_types import wrong_type, wrong_types

_NUMBERS = (int, float, int | None, float | None)


def check_values(config: Mapping[str, Any], ours: type, theirs: Iterable[type], source: str) -> None:
    """Raise a `PathPluginsError` that names every value of the wrong type.

    Our keys are judged by their declared types. The trainer's own take more than their types say: only those are judged
    that are one number, which text, a list or a mapping cannot mean.

    Args:
        config: key -> value, as read from the configuration.
        ours: the dataclass of our keys.
        theirs: the dataclasses of the trainer's keys.
        source: the file that ``config`` was read from, for the message.
    """
    problems = {
        key: said for key, said in wrong_types(ours, config).items() if not _is_json_text(key, config[key], ours)
    }
    for cls in theirs:
        hints = get_type_hints(cls)
        numbers = {key: value for key, value in config.items() if hints.get(key) in _NUMBERS and key not in problems}
        for key, value in numbers.items():
            if _cannot_be_a_number(value) and (said := wrong_type(hints[key], value)):
                problems[key] = said
    if problems:
        lines = [f"{key}: {said}" for key, said in problems.items()]
        raise PathPluginsError(
            "\n".join([*lines, f"correct {'these values' if lines[1:] else 'the value'} in {source}"])
        )


def read_mapping(key: str, text: str) -> dict[str, Any]:
    """Return the mapping that ``text`` writes as JSON, which is how a command line gives one."""
    try:
        value = parse_json(text)
    except ValueError as error:
        raise PathPluginsError(f"{key}: {text!r} is not JSON ({error}); write it as '{{\"name\": value}}'") from error
    if not isinstance(value, dict):
        raise PathPluginsError(f"{key}: got {text!r}, wanted a mapping; write it as '{{\"name\": value}}'")
    return value


def _is_json_text(key: str, value: Any, ours: type) -> bool:
    """Whether a mapping is given as text, which `read_mapping` judges."""
    return isinstance(value, str) and wrong_type(get_type_hints(ours)[key], {}) is None


def _cannot_be_a_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return True
    return isinstance(value, list | dict)
