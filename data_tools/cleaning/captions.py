"""Scores of one caption: its length, whether it reads as English, and how much of it is digits or a reference.

Scores judge nothing; `rules` does. Words are counted in the caption as written, by white space, as
``pathdata convert --min-words`` does; all else is measured on the tidy caption.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from .species import species

_MARKS = re.compile(
    r"\([A-Za-z](?:\s*[-–,]\s*[A-Za-z])*\)|\b(?:Figs?|Figures?)\.?\s*\d+[A-Za-z]?\b[.:]?", re.IGNORECASE
)
_DIGITS = re.compile(r"\d")
_CITED = re.compile(
    r"\bdoi:?\s*10\.\d+/\S+|https?://\S+|\bPMID:?\s*\d+|\bet\s+al\b\.?"
    r"|\b(?:19|20)\d\d\s*;\s*\d+\s*(?:\(\w+\))?\s*:\s*\w+(?:[-–]\w+)?|\bpp?\.\s*\d+(?:[-–]\d+)?"
    r"|\b[A-Z][\w'-]+ [A-Z]{1,3}(?=[,.;])",
)
_CITES = ("doi", "http", "PMID", "et al", ";", "p.")
"""One of these stands in whatever cites; looking for them first takes a tenth of the time."""
_WORDS = re.compile(r"[^\W\d_]+")
_BLANKED = {code: " " for code in range(128) if not chr(code).isalpha()}

_ENGLISH = frozenset(
    re.split(
        " ",
        "the of and to with from by at for is are was were be been has have which this these that there an it its not "
        "or into within between but also shows showing shown seen",
    )
)
_FOREIGN = frozenset(
    re.split(
        " ",
        "el la las del con por una un que les des du dans avec une est sur pour der das dem und mit von eine ein "
        "zu auf dos uma com são lo gli della di che het een zijn och para",
    )
)
"""Frequent words of Spanish, French, German, Portuguese, Italian, Dutch and Swedish that English captions lack."""
_FREQUENT = _ENGLISH | _FOREIGN


class CaptionScores(NamedTuple):
    """Scores of one caption."""

    words: int
    """Words by white space, as written."""
    english: float
    """0 to 1: the share of its letters that are ASCII, times the share of English among the frequent words found."""
    digits: float
    """0 to 1: share of the characters that are digits, white space left out."""
    reference: float
    """0 to 1: share of the characters in what cites: names with initials, DOI, URL, PMID, et al., volume and pages."""
    length: int
    """Characters of the tidy caption; of two equal pictures the longer caption is kept."""
    species: str
    """See `species.species`."""


def tidy(caption: str) -> str:
    """Return a caption in composed characters (NFC), without marks of figures ("(A)", "Fig. 2") or double spaces."""
    if not caption.isascii():
        caption = unicodedata.normalize("NFC", caption)
    if "(" in caption or "fig" in caption.lower():
        caption = _MARKS.sub(" ", caption)
    return " ".join(caption.split())


def score_caption(caption: str, clean: str) -> CaptionScores:
    """Score a caption, given also as `tidy` returns it."""
    solid = len(clean) - clean.count(" ")
    low, plain = clean.lower(), clean.isascii()
    words = low.translate(_BLANKED).split() if plain else _WORDS.findall(low)
    letters = sum(map(len, words))
    ascii_letters = letters if plain else sum(map(len, re.findall("[a-z]+", low)))
    frequent = [word for word in words if word in _FREQUENT]
    english = sum(map(_ENGLISH.__contains__, frequent))
    foreign = len(frequent) - english
    cited = sum(map(len, _CITED.findall(clean))) if any([mark in clean for mark in _CITES]) else 0  # noqa: C419 - faster
    return CaptionScores(
        words=len(caption.split()),
        english=ascii_letters / letters * (1 + english) / (1 + english + foreign) if letters else 0.0,
        digits=len(_DIGITS.findall(clean)) / solid if solid else 0.0,
        reference=min(1.0, cited / len(clean)) if solid else 0.0,
        length=len(clean),
        species=species(clean, words),
    )
