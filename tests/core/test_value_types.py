"""Values of YAML and Python against the types of fields, as text annotations too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest

from pathplugins.core.value_types import wrong_type, wrong_types


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 0),
        (float, 3),
        (float, 1e-3),
        (bool, False),
        (str, ""),
        (str | None, Path("slides")),
        (Optional[int], None),  # noqa: UP045 - what LLaMA-Factory's parser needs
        (int | None, 5),
        (Union[dict, str], {"depth": 2}),  # noqa: UP007
        (Mapping[str, Any], {}),
        (str | Sequence[str], ["a", "b"]),
        (Literal["error", "skip"], "skip"),
        (Any, object()),
        (type, 3),
    ],
    ids=str,
)
def test_what_fits_is_silent(annotation: Any, value: Any) -> None:
    assert wrong_type(annotation, value) is None


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, "many", "got the text 'many', wanted a whole number"),
        (Optional[int], 7.5, "got 7.5, wanted a whole number"),  # noqa: UP045
        (int, True, "got true, wanted a whole number"),
        (float | None, True, "got true, wanted a number"),
        (float, [0.1], "got the list [0.1], wanted a number"),
        (bool, "yes", "got the text 'yes', wanted true or false"),
        (bool, None, "got nothing (null), wanted true or false"),
        (str, 12, "got 12, wanted text"),
        (dict | str | None, 4, "got 4, wanted a mapping {name: value} or text"),
        (Sequence[str], "a", "got the text 'a', wanted a list"),
        (Literal["error", "skip"], "skipp", "got the text 'skipp', wanted error or skip; did you mean 'skip'?"),
        (Mapping[str, Any], [1], "got the list [1], wanted a mapping {name: value}"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_with_what_does(annotation: Any, value: Any, said: str) -> None:
    assert wrong_type(annotation, value) == said


@dataclass
class Settings:
    patches: int = 3
    tower: str | None = None


def test_all_fields_at_once_and_no_others() -> None:
    assert wrong_types(Settings, {"patches": "3", "tower": None, "unknown": 1}) == {
        "patches": "got the text '3', wanted a whole number"
    }


def test_the_parameters_of_a_function() -> None:
    def read(path: str, *, limit: int | None = None) -> None:
        """Read."""

    assert wrong_types(read, {"path": "a", "limit": [1], "self": read}) == {
        "limit": "got the list [1], wanted a whole number"
    }
