"""Options become frozen values at the door of a command."""

import argparse
from dataclasses import dataclass

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options, size_option


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Two of the options."""

    number: int
    name: str | None = None

    def __post_init__(self) -> None:
        if self.number < 1:
            raise PathPluginsError(f"--number must be at least 1, got {self.number}")


def test_fields_are_the_options_of_the_same_names() -> None:
    args = argparse.Namespace(number=3, name=None, another="not asked for")
    assert read_options(args, Chosen) == Chosen(number=3)


def test_a_value_that_is_refused_and_an_option_that_nobody_added() -> None:
    with pytest.raises(PathPluginsError, match="--number must be at least 1, got 0"):
        read_options(argparse.Namespace(number=0, name="x"), Chosen)
    with pytest.raises(AttributeError, match="name"):
        read_options(argparse.Namespace(number=1), Chosen)


def test_sizes_are_width_and_height() -> None:
    assert size_option("3072x2304") == (3072, 2304)
    for text in ("3072", "3072x", "axb", "30.5x20", "-1x5", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="WIDTHxHEIGHT such as 3072x2304"):
            size_option(text)
