"""Multiple choice: read a list of choices, put letters before them, find the one an answer means."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json

_LETTER_ANSWER = re.compile(r"\(?([a-z]{1,2})\s*[).:]*")
_LETTERED_ANSWER = re.compile(r"\(?([a-z]{1,2})\s*[).:]+\s*(\S.*)", re.DOTALL)


def parse_choices(text: str) -> list[str]:
    """Parse choices from a JSON or Python list, or separated by ``|``; none for an empty cell or list."""
    text = text.strip()
    if not text:
        return []
    if text[0] in "[(":
        values = _literal(text)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str | int | float) for v in values):
            raise PathPluginsError(f"choices are {text!r}, expected a list such as ['benign', 'malignant']")
        choices = [str(value).strip() for value in values]
    else:
        choices = [part.strip() for part in text.split("|")]
    folded = {choice.casefold() for choice in choices}
    if choices and (len(choices) < 2 or "" in folded or len(folded) < len(choices)):
        raise PathPluginsError(
            f"choices are {text!r}, expected two or more, different and none empty, such as 'benign | malignant'"
        )
    return choices


def lettered(choices: list[str]) -> list[str]:
    """Put letters before choices: ``["A) benign", "B) malignant"]``."""
    return [f"{letter(index)}) {choice}" for index, choice in enumerate(choices)]


def letter(index: int) -> str:
    """Return the letter of a choice: A to Z, then AA, AB, ... as spreadsheets count columns."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def match_choice(answer: str, choices: list[str]) -> int | None:
    """Find the choice that an answer means, ignoring case; None if that is not certain.

    The first of these that fits decides, from the third on only if it fits exactly one choice: letter and text of one
    choice (``B) ductal``); the same text, or its letter (``B``, ``b)``, ``(B).``); a choice standing in the answer
    (``the correct option is: benign``); the answer standing in a choice (``ductal``); a choice at the start of the
    answer (``benign2.``); the answer at the start of a choice. Words and numbers are whole, so that ``no`` is not found
    in ``unknown`` or ``1`` in ``10``. A letter that names one choice and is the text of another means neither.
    """
    wanted = answer.strip().casefold()
    folded = [choice.strip().casefold() for choice in choices]
    if not wanted:
        return None
    letters = [letter(index).casefold() for index in range(len(choices))]
    if (both := _LETTERED_ANSWER.fullmatch(wanted)) and both[1] in letters:
        index = letters.index(both[1])
        if folded[index] == both[2]:
            return index
    same = {folded.index(wanted)} if wanted in folded else set()
    if (lone := _LETTER_ANSWER.fullmatch(wanted)) and lone[1] in letters:
        same.add(letters.index(lone[1]))
    if same:
        return same.pop() if len(same) == 1 else None
    tests: tuple[Callable[[str], bool], ...] = (
        lambda choice: _has_words(wanted, choice),
        lambda choice: _has_words(choice, wanted),
        lambda choice: _starts_with(wanted, choice),
        lambda choice: _starts_with(choice, wanted),
    )
    for test in tests:
        hits = [index for index, choice in enumerate(folded) if test(choice)]
        if len(hits) == 1:
            return hits[0]
    return None


def choice_of_letter(answer: str, choices: list[str]) -> int | None:
    """Find the choice of an answer in a source that answers by letters; what is no letter is its text.

    ``B`` is the second choice there, also where the first one reads ``B``.
    """
    letters = [letter(index) for index in range(len(choices))]
    named = answer.strip().strip("().:").strip().upper()
    return letters.index(named) if named in letters else match_choice(answer, choices)


def _literal(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _has_words(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _starts_with(text: str, words: str) -> bool:
    """Return whether a text starts with these words: a digit may follow (``benign2``), a letter not (``nothing``)."""
    end, following = words[-1:], text[len(words) : len(words) + 1]
    continues = (end.isalpha() and following.isalpha()) or (end.isdigit() and following.isdigit())
    return text.startswith(words) and not continues
