"""Options that stand in several commands: each group is added to a parser, and read back as one frozen value.

An argparse namespace goes no further than ``run`` of a command, which calls `read_options` first.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TypeVar

Options = TypeVar("Options")


def read_options(args: argparse.Namespace, kind: type[Options]) -> Options:
    """Return the dataclass ``kind``, each field with the value of the option of the same name.

    Raises:
        PathPluginsError: values that ``kind`` refuses.
    """
    return kind(**{field.name: getattr(args, field.name) for field in fields(kind)})  # type: ignore[arg-type]


def size_option(text: str) -> tuple[int, int]:
    """Return ``3072x2304`` as (w, h); a type for ``add_argument``."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"wanted WIDTHxHEIGHT such as 3072x2304, got {text!r}")
    return int(width), int(height)


def one_of(kind: str, names: Iterable[str]) -> Callable[[str], str]:
    """Return a type for ``add_argument`` that takes one of many names and suggests the nearest one for a typo.

    Args:
        kind: What the names are, e.g. ``preset``.
        names: All of them.
    """
    known = list(names)

    def name_option(text: str) -> str:
        if text in known:
            return text
        near = difflib.get_close_matches(text, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise argparse.ArgumentTypeError(f"unknown {kind} {text!r}.{hint} Known: {', '.join(known)}")

    return name_option
