"""The check of what we lean on, on made-up symbols."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from pathplugins.core import touch_points
from pathplugins.core.errors import HostDriftError


@dataclasses.dataclass
class Arguments:
    vision_tower: str = ""


class OurArguments(Arguments):
    pass


TABLE = {"llama3": 1}
ARGUMENTS = [OurArguments]


def point(path: str, *uses: str) -> touch_points.TouchPoint:
    return touch_points.TouchPoint(path=path, uses=uses, why="a test")


def test_a_point_that_holds_is_silent() -> None:
    assert touch_points.check([point("pathlib:Path.read_text", "encoding", "errors"), point("json:dumps", "obj")]) == []


def test_a_removed_symbol_is_named_with_the_versions() -> None:
    (problem,) = touch_points.check([point("transformers.no_such_module:Model")])
    assert problem.startswith("transformers.no_such_module:Model cannot be used: No module named")
    assert "4.48.0 to 5.5.4 tested" in problem
    assert problem.endswith("(needed: a test)")


def test_a_removed_attribute_is_an_error_to_whoever_resolves_it() -> None:
    with pytest.raises(HostDriftError, match=r"pytest:no_such.*pytest .* installed"):
        touch_points.resolve("pytest:no_such")


def test_a_parameter_that_is_gone_is_named() -> None:
    (problem,) = touch_points.check([point("pathlib:Path.read_text", "encoding", "colour")])
    assert problem.startswith("pathlib:Path.read_text no longer has colour;")


def test_tables_are_checked_by_key_and_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathlib, "TABLE", TABLE, raising=False)
    monkeypatch.setattr(pathlib, "ARGUMENTS", ARGUMENTS, raising=False)
    assert touch_points.check([point("pathlib:TABLE", "llama3"), point("pathlib:ARGUMENTS", "Arguments")]) == []
    assert "no longer has vicuna" in touch_points.check([point("pathlib:TABLE", "llama3", "vicuna")])[0]
    assert "no longer has DataArguments" in touch_points.check([point("pathlib:ARGUMENTS", "DataArguments")])[0]


def test_registrations_are_looked_up_by_key_and_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathlib, "TABLE", TABLE, raising=False)
    monkeypatch.setattr(pathlib, "ARGUMENTS", ARGUMENTS, raising=False)
    for table, name, known in [
        ("pathlib:TABLE", "llama3", True),
        ("pathlib:TABLE", "llama", False),
        ("pathlib:ARGUMENTS", "vision_tower", True),
        ("pathlib:ARGUMENTS", "vision", False),
    ]:
        assert touch_points.is_registered(touch_points.Registration(kind="name", table=table, name=name)) is known


def test_an_optional_module_may_be_absent_but_not_changed() -> None:
    absent = touch_points.TouchPoint(path="no_such_package.part:name", why="a test", optional=True)
    changed = touch_points.TouchPoint(path="pathlib:no_such", why="a test", optional=True)
    assert touch_points.check([absent]) == []
    assert touch_points.check([changed])[0].startswith("pathlib:no_such cannot be used")


def test_a_value_needs_only_to_be_there() -> None:
    assert touch_points.check([point("math:pi")]) == []
