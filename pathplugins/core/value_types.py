"""Check that a value from a configuration has the type that its field declares."""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_WANTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a mapping {name: value}",
    list: "a list",
    type(None): "nothing (null)",
}


def wrong_type(annotation: Any, value: Any) -> str | None:
    """Return what is wrong with ``value``, such as ``got the text 'many', wanted a whole number``.

    Args:
        annotation: ``int``, ``float``, ``bool``, ``str``, ``dict`` or ``Mapping``, ``list`` or ``Sequence``,
            ``Literal[...]`` and unions of these; a path is text. A value of any other annotation is not judged.
        value: as YAML, JSON or Python gives it. A whole number is a number; true and false are none.

    Returns:
        The clause, or None when the value fits.
    """
    options = _options(annotation)
    if any(_fits(option, value) for option in options):
        return None
    choices = [str(choice) for option in options if get_origin(option) is Literal for choice in get_args(option)]
    wanted = [_WANTED[_plain(option)] for option in options if _plain(option) in _WANTED and option is not type(None)]
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"got {_said(value)}, wanted {' or '.join(wanted + choices)}{hint}"


def wrong_types(owner: Any, values: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> what is wrong, for each of ``values`` that ``owner`` does not take.

    Args:
        owner: a dataclass, judged by its fields, or a function, judged by its parameters.
        values: name -> value; names that ``owner`` does not have are not judged.
    """
    hints = get_type_hints(owner)
    found = {name: wrong_type(hints[name], value) for name, value in values.items() if name in hints}
    return {name: problem for name, problem in found.items() if problem is not None}


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for member in get_args(annotation) for option in _options(member)]
    return [annotation]


def _plain(option: Any) -> Any:
    """Return ``dict`` for every mapping, ``list`` for every sequence but text; else the type itself."""
    kind = get_origin(option) or option
    if kind is str or not isinstance(kind, type):
        return kind
    if issubclass(kind, Mapping):
        return dict
    return list if issubclass(kind, Sequence) else kind


def _fits(option: Any, value: Any) -> bool:
    if get_origin(option) is Literal:
        return value in get_args(option)
    kind = _plain(option)
    if kind not in _WANTED:
        return True
    if kind in (int, float):
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if kind is list:
        return isinstance(value, Sequence) and not isinstance(value, str)
    return isinstance(value, {dict: Mapping, str: (str, os.PathLike)}.get(kind, kind))


def _said(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    kinds = ((str, "the text "), (Mapping, "the mapping "), (Sequence, "the list "))
    return next((kind for cls, kind in kinds if isinstance(value, cls)), "") + repr(value)
