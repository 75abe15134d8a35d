"""Words of reports."""

from __future__ import annotations

from pathplugins.data.scoring.words import clauses_of, words_of


def test_words() -> None:
    text = "Well-differentiated, ER+/HER2-; 2.5cm (pT2a), Barrett's.  1,200 cells_"
    assert words_of(text) == [
        *("well-differentiated", "er", "her2", "2.5", "cm", "pt2a", "barrett's", "1,200", "cells"),
    ]
    assert words_of(" -- . ") == []


def test_clauses() -> None:
    assert clauses_of("No necrosis, but atypia. Grade: 2\nEnd 0.5 mm") == [
        *(["no", "necrosis"], ["atypia"], ["grade"], ["2"], ["end", "0.5", "mm"]),
    ]
