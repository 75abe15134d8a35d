"""Terms: shown always, agreed to by an option or by an answer."""

from __future__ import annotations

import io

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.sources.terms import agree


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_option_agrees(capfd: pytest.CaptureFixture[str]) -> None:
    agree("A: research only", "B: cite", yes=True)
    said = capfd.readouterr().err
    assert "- A: research only" in said
    assert "- B: cite" in said


@pytest.mark.parametrize("answer", ["y\n", " YES \n"])
def test_an_answer_agrees(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    agree("A", yes=False)


@pytest.mark.parametrize("answer", ["", "n\n", "\n", "yes please\n"])
def test_anything_else_does_not(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with pytest.raises(PathPluginsError, match="nothing was downloaded"):
        agree("A", yes=False)


@pytest.mark.parametrize("stdin", [None, io.StringIO("y\n")])
def test_without_a_terminal_the_option_is_needed(monkeypatch: pytest.MonkeyPatch, stdin: object) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(PathPluginsError, match="pass --yes"):
        agree("A", yes=False)
