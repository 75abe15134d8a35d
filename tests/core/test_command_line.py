"""A mistyped word of a command line: one line with the right word, exit code 2."""

from __future__ import annotations

import pytest

from pathplugins.core.command_line import Parser


def parser() -> Parser:
    top = Parser(prog="tool")
    top.add_argument("--version", action="store_true")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ask = commands.add_parser("ask")
    ask.add_argument("--question", required=True)
    ask.add_argument("--format", choices=("llava", "sharegpt"))
    ask.add_argument("--bits", type=int, choices=(4, 8))
    ask.add_argument("names", nargs="*", metavar="NAME")
    deeper = commands.add_parser("configs").add_subparsers(dest="action", metavar="ACTION", required=True)
    deeper.add_parser("copy").add_argument("--to")
    return top


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["aks", "--question", "x"],
            "tool: error: unknown command 'aks'. Did you mean ask? Known: ask, configs; see `tool --help`",
        ),
        (["--versoin", "ask"], "tool: error: unknown option --versoin. Did you mean --version? See `tool --help`"),
        (
            ["ask", "--questoin", "x"],
            "tool ask: error: unknown option --questoin. Did you mean --question? See `tool ask --help`",
        ),
        (["ask", "--zzz=1", "--question", "x"], "tool ask: error: unknown option --zzz; see `tool ask --help`"),
        (
            ["ask", "--question", "x", "--format", "lava"],
            "tool ask: error: argument --format: unknown value 'lava'. Did you mean llava? Known: llava, sharegpt; "
            "see `tool ask --help`",
        ),
        (
            ["ask", "--question", "x", "--bits", "5"],
            "tool ask: error: argument --bits: unknown value '5'. Known: 4, 8; see `tool ask --help`",
        ),
        (
            ["configs", "copi"],
            "tool configs: error: unknown action 'copi'. Did you mean copy? Known: copy; see `tool configs --help`",
        ),
        (
            ["configs", "copy", "--too", "x"],
            "tool configs copy: error: unknown option --too. Did you mean --to? See `tool configs copy --help`",
        ),
    ],
)
def test_the_nearest_word_is_named(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(words)
    assert capsys.readouterr().err == f"{message}\n"


@pytest.mark.parametrize(
    ("words", "question", "names"),
    [
        (["ask", "--ques", "abbreviated"], "abbreviated", []),
        (["ask", "--question=--why", "a"], "--why", ["a"]),
        (["ask", "--question", "-- is it benign?"], "-- is it benign?", []),
        (["ask", "--question", "x", "--", "--file"], "x", ["--file"]),
    ],
)
def test_right_words_pass(words: list[str], question: str, names: list[str]) -> None:
    args = parser().parse_args(words)
    assert (args.question, args.names) == (question, names)
