"""Options that stand in several commands: each group is added to a parser, and read back as one frozen value.

An argparse namespace goes no further than ``run`` of a command, which calls `read_options` first.
"""

from __future__ import annotations

import argparse
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
