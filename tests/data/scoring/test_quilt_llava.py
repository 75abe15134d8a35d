"""Scores as Quilt-LLaVA publishes them: hand-worked values, and a slow reading of the same rules."""

from __future__ import annotations

import random

import pytest

from pathplugins.data.scoring.quilt_llava import (
    CONTRACTIONS,
    letter,
    normalise,
    word_scores,
    yes_or_no,
)

NUMBERS = {word: str(n) for n, word in enumerate(["zero", "one", "two", "three", "four", "five", "six"])}
NUMBERS |= {"none": "0", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}


def slowly(text: str) -> str:
    """One letter after the other, every rule by its own sentence."""
    digits = any(a.isdigit() and b == "," and c.isdigit() for a, b, c in zip(text, text[1:], text[2:], strict=False))
    kept, periods = "", 0
    spaced = {mark for mark in ';/[]"{}()=+\\_-><@`,?!' if mark + " " in text or " " + mark in text}
    for place in text:
        if place in ';/[]"{}()=+\\_-><@`,?!':
            kept += "" if digits or place in spaced else " "
        else:
            kept += place
    shorter = ""
    for place, mark in enumerate(kept):
        if mark == "." and not kept[place + 1 : place + 2].isdigit() and periods < 32:
            periods += 1
        else:
            shorter += mark
    words = []
    for word in shorter.lower().split():
        word = NUMBERS.get(word, word)
        if word not in ("a", "an", "the"):
            words.append(CONTRACTIONS.get(word, word))
    return " ".join(words)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The H&E stain.", "h&e stain"),
        ("x-ray", "x ray"),  # no blank beside the mark: a blank instead
        ("x-ray - old", "xray old"),  # one beside a blank, so that all of its kind go
        ("1,000 cells, x-ray", "1000 cells xray"),  # digit, comma, digit: every mark goes
        ("CD3(+)", "cd3"),
        ("0.5 mm. Two of an ", "0.5 mm 2 of"),
        ("Dont know; it isnt somebody'd", "don't know it isn't somebodyd"),
        ("None of the ten", "0 of 10"),
        ("it's a.b.", "it's ab"),
        ("." * 35 + "a", "...a"),
        ("", ""),
    ],
)
def test_texts_by_hand(text: str, wanted: str) -> None:
    assert normalise(text) == slowly(text) == wanted


def test_texts_by_the_slow_reading() -> None:
    draw = random.Random(4)
    pieces = [
        "a",
        "The",
        "two",
        "dont",
        "x",
        "0",
        "7",
        " ",
        " ",
        ".",
        ",",
        "-",
        "?",
        "/",
        "'",
        "_",
        "`",
        "(",
        "é",
        "\n",
    ]
    for _ in range(3000):
        text = "".join(draw.choices(pieces, k=draw.randint(0, 14)))
        assert normalise(text) == slowly(text), repr(text)


def test_contractions_are_those_of_the_vqa_evaluation() -> None:
    """Its 120, without two that stand for themselves and four with a capital letter, which no word here has."""
    assert len(CONTRACTIONS) == 120 - 2 - 4
    some = {"couldnt've": "couldn't've", "couldn'tve": "couldn't've", "yall": "y'all", "'ow'sat": "'ow's'at"}
    some |= {"y'alld've": "y'all'd've", "twas": "'twas", "oclock": "o'clock", "wed've": "we'd've"}
    assert {word: CONTRACTIONS[word] for word in some} == some
    assert "wed" not in CONTRACTIONS
    assert "well" not in CONTRACTIONS


@pytest.mark.parametrize(
    ("answer", "said", "wanted"),
    [
        ("a gland", "A gland.", (1, 1, 1, 1)),
        ("a gland", "gland gland", (1 / 2, 1, 1, 1)),  # said twice: lower, though every word is right
        ("red blood cells", "blood cells of the marrow", (2 / 4, 4 / 7, 2 / 4, 2 / 3)),
        ("cells cells nuclei", "nuclei", (1, 2 * (1 / 3) / (4 / 3), 1, 1 / 3)),  # missing words count as often as said
        ("tumor", "stroma", (0, 0, 0, 0)),
        ("tumor", "", (0, 0, 0, 0)),
        ("the", "the", (0, 0, 0, 0)),  # no words are left
    ],
)
def test_open_answers_by_hand(answer: str, said: str, wanted: tuple[float, ...]) -> None:
    assert word_scores(answer, said) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Yes.", "yes"),
        ("No, it does not.", "no"),
        ("It is not seen", "no"),
        ("", "yes"),
        ("It isn't", "yes"),
        ("Nothing", "yes"),
        ("maybe", "yes"),
        ("Yes, there is no doubt", "no"),
    ],
)
def test_yes_and_no_by_hand(said: str, wanted: str) -> None:
    assert yes_or_no(said) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("B", "B"),
        ("B: benign", "B"),
        ("C. x", "C"),
        ("C.", "C"),  # too short for the second rule, found by the third
        ("The answer is B", "T"),
        ("The answer is B.", "B"),  # two capitals before anything, one after "is"
        ("Option C.", None),
        ("the option C.", "C"),
        ("A nest of cells", "A"),
        ("D) mucin", "D"),
        ("b", None),
        ("E", None),
        ("Grade I: 'B'", "I"),  # which is no choice
        ("", None),
        ("It Has 'C'", "C"),
    ],
)
def test_letters_by_hand(said: str, wanted: str | None) -> None:
    assert letter(said) == wanted
