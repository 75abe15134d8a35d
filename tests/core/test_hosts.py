from __future__ import annotations

import dataclasses
import pathlib

import pytest

from pathplugins.core import hosts, versions
from pathplugins.core.errors import HostDriftError


@dataclasses.dataclass
class Arguments:
    vision_tower: str = ""


class OurArguments(Arguments):
    pass


TABLE = {"llama3": 1}
ARGUMENTS = [OurArguments]


def point(path: str, *uses: str) -> hosts.TouchPoint:
    return hosts.TouchPoint(path=path, uses=uses, why="a test")


def test_a_point_that_holds_is_silent() -> None:
    assert hosts.check([point("pathlib:Path.read_text", "encoding", "errors"), point("json:dumps", "obj")]) == []


def test_a_removed_symbol_is_named_with_the_versions() -> None:
    (problem,) = hosts.check([point("transformers.no_such_module:Model")])
    assert problem.startswith("transformers.no_such_module:Model cannot be used: No module named")
    assert "4.48.0 to 5.5.4 tested" in problem
    assert problem.endswith("(needed: a test)")


def test_a_removed_attribute_is_an_error_to_whoever_resolves_it() -> None:
    with pytest.raises(HostDriftError, match=r"pytest:no_such.*pytest .* installed"):
        hosts.resolve("pytest:no_such")


def test_a_parameter_that_is_gone_is_named() -> None:
    (problem,) = hosts.check([point("pathlib:Path.read_text", "encoding", "colour")])
    assert problem.startswith("pathlib:Path.read_text no longer has colour;")


def test_tables_are_checked_by_key_and_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathlib, "TABLE", TABLE, raising=False)
    monkeypatch.setattr(pathlib, "ARGUMENTS", ARGUMENTS, raising=False)
    assert hosts.check([point("pathlib:TABLE", "llama3"), point("pathlib:ARGUMENTS", "Arguments")]) == []
    assert "no longer has vicuna" in hosts.check([point("pathlib:TABLE", "llama3", "vicuna")])[0]
    assert "no longer has DataArguments" in hosts.check([point("pathlib:ARGUMENTS", "DataArguments")])[0]


def test_registrations_are_looked_up_by_key_and_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathlib, "TABLE", TABLE, raising=False)
    monkeypatch.setattr(pathlib, "ARGUMENTS", ARGUMENTS, raising=False)
    for table, name, known in [
        ("pathlib:TABLE", "llama3", True),
        ("pathlib:TABLE", "llama", False),
        ("pathlib:ARGUMENTS", "vision_tower", True),
        ("pathlib:ARGUMENTS", "vision", False),
    ]:
        assert hosts.is_registered(hosts.Registration(kind="name", table=table, name=name)) is known


def test_every_point_says_why_and_private_ones_when_they_can_go() -> None:
    assert len(hosts.LLAMAFACTORY) >= 15
    assert len({entry.path for entry in hosts.LLAMAFACTORY}) == len(hosts.LLAMAFACTORY)
    for entry in hosts.LLAMAFACTORY:
        assert entry.why
        private = entry.path.partition(":")[2].startswith("_")
        assert not (private and entry.drop_when.startswith("never")), entry.path


@pytest.mark.host
def test_the_installed_llamafactory_has_what_we_use() -> None:
    pytest.importorskip("llamafactory")
    assert versions.is_tested("llamafactory", str(versions.installed("llamafactory")))
    assert hosts.check() == []
