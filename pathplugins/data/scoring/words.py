"""Split reports into words, the units that scores of free text count."""

from __future__ import annotations

import re

_WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’-][^\W_]+)*")
_CLAUSE_END = re.compile(r"[.;:!?]\s+|\n+|,?\s+(?:but|however|although|while)\s+", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case: ``well-differentiated`` and ``0.5`` are one each, marks are none."""
    return _WORD.findall(text.lower())


def clauses_of(text: str) -> list[list[str]]:
    """Return the words of each clause: it ends with a sentence, a semicolon, a colon, a line, or before "but"."""
    return [words for part in _CLAUSE_END.split(text) if (words := words_of(part))]
