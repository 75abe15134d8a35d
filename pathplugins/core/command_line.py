"""Command lines that answer a mistake with one line: what is wrong, the nearest right name, where to look."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose subcommands are of this class too.

    An unknown option is refused first, so that a misspelt required option is not reported as a missing one.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Parse as `argparse` does; an unknown option ends the program with exit code 2."""
        words = list(sys.argv[1:] if args is None else args)
        for word in self._options_among(words):
            if not any(known.startswith(word) for known in self._option_string_actions):
                self.error(f"unknown option {word}{_hint(word, self._long_options(), end='')}")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the command line, and end the program with exit code 2."""
        see = " See" if message.endswith("?") else "; see"
        self.exit(2, f"{self.prog}: error: {message}{see} `{self.prog} --help`\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        commands = isinstance(action, argparse._SubParsersAction)
        kind = (action.metavar or action.dest).lower() if commands else "value"
        known = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            None if commands else action,
            f"unknown {kind} {str(value)!r}{_hint(str(value), known, end='.')} Known: {', '.join(known)}",
        )

    def _long_options(self) -> list[str]:
        return [option for option in self._option_string_actions if option.startswith("--")]

    def _options_among(self, words: Sequence[str]) -> list[str]:
        """Return the words that `argparse` takes for long options of this parser, without their values."""
        found = []
        nested = any(isinstance(action, argparse._SubParsersAction) for action in self._actions)
        for word in words:
            if word == "--" or (nested and not word.startswith("-")):
                break  # what follows is for nobody, or for the parser of a subcommand
            if word.startswith("--") and " " not in word:
                found.append(word.partition("=")[0])
        return found


def output_of(args: argparse.Namespace) -> Path | None:
    """Return what a command writes (``--out``); None if it has none, or only says what it would do."""
    out = getattr(args, "out", None)
    return Path(out) if out is not None and str(out) != "-" and not getattr(args, "dry_run", False) else None


def _hint(word: str, known: Sequence[str], *, end: str) -> str:
    """Return ``. Did you mean ...?`` with the nearest of the known words, or ``end`` where none is near."""
    from pathplugins.core.nearest import nearest  # a right command line never needs it

    near = nearest(word, known)
    return f". Did you mean {near}?" if near else end
