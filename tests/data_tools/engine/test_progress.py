"""Lines of a run on stderr: one per slide, never wrapped, so that a log can be searched."""

import pytest

from pathplugins.data_tools.engine.progress import Board, bars, say
from pathplugins.data_tools.engine.state import Result


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = "[1/2] slide [bold]x[/bold]: " + "long " * 60
    say(line)
    assert capsys.readouterr().err == f"{line}\n"


def test_every_slide_that_ends_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Board(3) as board:
        board.tell("a", 5, 10)
        held = Result(slide_id="b", status="held", reason="process 7 on host")
        board.held(held)
        board.held(held)
        board.ended(Result(slide_id="a", status="done", patches=10, notes=("20x but 0.25 um/px",)))
        board.ended(Result(slide_id="b", status="skipped", patches=4))
        board.ended(Result(slide_id="c", status="failed", reason="no tissue found"))
    assert capsys.readouterr().err.splitlines() == [
        "b: process 7 on host is doing it; waiting for it to end",
        "[1/3] a: 10 patches; 20x but 0.25 um/px",
        "[2/3] b: 4 patches (exists already)",
        "[3/3] c: failed",
    ]


def test_bars_show_nothing_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as shown:
        shown.advance(shown.add_task("slides", total=2, unit="slides"))
    assert capsys.readouterr().err == ""
