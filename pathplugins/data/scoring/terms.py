"""Clinical terms: which findings a report names, and whether it says that they are there or not."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.data.scoring.words import clauses_of, words_of

DEFAULT = Path(__file__).with_name("clinical_terms.txt")

Finding = tuple[str, bool]
"""A term, and whether it is said to be there."""

_DENIALS = {"no", "not", "without", "negative", "absent", "absence", "nor", "neither", "free", "never"}
_REACH = 4  #: words before a term in which a denial stands
_AFTER = (("is", "absent"), ("are", "absent"), ("not", "identified"), ("not", "seen"), ("not", "present"))
_AFTER_REACH = 3  #: words after a term in which these begin


class Terms:
    """A list of terms, and the search for them."""

    def __init__(self, terms: Iterable[str]) -> None:
        """Take terms of one or several words; case, marks and a plural ``s`` make no difference."""
        self._starts: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for term in sorted({tuple(map(_singular, words_of(term))) for term in terms} - {()}, key=len, reverse=True):
            self._starts[term[0]].append(term)

    def __len__(self) -> int:
        """Return how many different terms there are."""
        return sum(map(len, self._starts.values()))

    def findings(self, report: str) -> set[Finding]:
        """Return the terms of a report, each said to be there or denied (or both); the longest term counts at a place.

        A term is denied by "no", "not", "without", "negative", "free" and the like up to four words before it in its
        clause, or by "not identified", "not seen", "not present" or "is absent" right after it.
        """
        found = set()
        for clause in clauses_of(report):
            words, place = [*map(_singular, clause)], 0
            while place < len(words):
                term = next(
                    (t for t in self._starts.get(words[place], ()) if (*words[place : place + len(t)],) == t), ()
                )
                if term:
                    found.add((" ".join(term), not _denied(clause, place, place + len(term))))
                place += len(term) or 1
        return found


def read_terms(path: Path | None) -> Terms:
    """Read a list of terms: one a line, ``#`` begins a comment. None reads the list that comes with the package.

    Raises:
        PathPluginsError: there is no such file, or it holds no term.
    """
    path = path or DEFAULT
    if not is_file(path):
        raise PathPluginsError(f"--terms {path}: no such file; give a text file with one term a line{near_path(path)}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PathPluginsError(f"--terms {path} is no UTF-8 text ({error}); save it as UTF-8") from error
    terms = Terms(line.partition("#")[0] for line in lines)
    if not len(terms):
        raise PathPluginsError(f"--terms {path} holds no term; write one a line")
    return terms


def _denied(words: list[str], start: int, end: int) -> bool:
    if _DENIALS & {*words[max(0, start - _REACH) : start]}:
        return True
    after = words[end : end + _AFTER_REACH + 1]
    return any(pair in _AFTER for pair in itertools.pairwise(after))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "is", "us")) else word
