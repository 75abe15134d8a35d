"""Scores of single answers as Quilt-LLaVA publishes them, kept as they are: for its numbers alone.

Written from the behaviour of aldraus/quilt-llava a7a9a4c. Its "exact match" is the share of an answer's words that are
covered, a text without "no" and "not" is a yes, and a letter is whatever capital letter stands before anything.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COUNTED = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_PERIODS = 32
"""Removed at most: the published code passes a flag of `re`, whose value this is, as the count."""
_NUMBERS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten".split())  # noqa: SIM905
} | {"none": "0"}
_ARTICLES = ("a", "an", "the")
_CONTRACTED = (
    "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's "
    "isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've "
    "shouldn't somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd "
    "there're there's they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've "
    "when's where'd where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all "
    "you'd you'll you're you've "
    "couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've "  # codespell:ignore couldn
    "somebody'd've someone'd've something'd've there'd've they'd've we'd've who'd've wouldn't've you'd've "
    "y'all'll y'all'd've 'ow's'at"
)
CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in _CONTRACTED.split()
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}
"""Word that lacks an apostrophe -> with it, those of the VQA evaluation; one there lacks it on the right."""
_LETTERS = ("A", "B", "C", "D")
_LETTER_PATTERNS = tuple(map(re.compile, (r"([A-Z]).", r"option ([A-Z]).", r" ([A-Z]):", r"'([A-Z])'", r"is ([A-Z]).")))


class WordScores(NamedTuple):
    """Scores of an open answer, each in [0, 1]."""

    exact_match: float
    f1: float
    precision: float
    recall: float


def normalise(text: str) -> str:
    """Return a text as the published scores compare it: words in lower case, without articles and most marks."""
    counted, kept = _COUNTED.search(text), text
    for mark in _MARKS:
        beside_blank = f"{mark} " in text or f" {mark}" in text  # of the text as it was
        kept = kept.replace(mark, "" if beside_blank or counted else " ")
    kept = _PERIOD.sub("", kept, count=_PERIODS)
    words = (_NUMBERS.get(word, word) for word in kept.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def word_scores(answer: str, prediction: str) -> WordScores:
    """Score an open answer.

    ``exact_match`` is the number of different words of the right answer that the prediction has, over all words of the
    prediction: no exact match, and a right word that is said twice lowers it. Without a word in common all are 0.
    """
    wanted, said = (Counter(normalise(normalise(text.lower())).split()) for text in (answer, prediction))
    shared = wanted.keys() & said.keys()
    if not shared:
        return WordScores(0.0, 0.0, 0.0, 0.0)
    told, right = said.total(), sum(said[word] for word in shared)
    missed = sum(wanted[word] for word in wanted.keys() - shared)
    precision, recall = right / told, right / (right + missed)
    return WordScores(len(shared) / told, 2 * precision * recall / (precision + recall), precision, recall)


def yes_or_no(prediction: str) -> str:
    """Return what a closed question's answer is taken for: ``no`` if it says no or not; else, if empty too, ``yes``."""
    return "no" if {"no", "not"} & {*normalise(prediction.lower()).split()} else "yes"


def letter(prediction: str) -> str | None:
    """Return the letter an answer is taken for, any of A to Z; None where the published code says FAILED."""
    if prediction in _LETTERS:
        return prediction
    if len(prediction) >= 3 and prediction[0] in _LETTERS and prediction[1] in ":.":
        return prediction[0]
    return next((found[0] for pattern in _LETTER_PATTERNS if len(found := pattern.findall(prediction)) == 1), None)
