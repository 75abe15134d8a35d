"""What free text says: words that are compared, letters, labels; unclear is None (features A34 to A36)."""

from __future__ import annotations

import pytest

from pathplugins.data.scoring.answers import find_label, is_closed, normalise, options_in, parse_choice, token_recall

OPTIONS = {"A": "benign", "B": "malignant", "C": "squamous carcinoma", "D": "carcinoma", "E": "E. coli"}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" The Gland. ", "gland"),
        ("An X-ray, of the  chest", "x ray of chest"),
        ("It's two-fold;\n(twenty one)", "its 2 fold twenty 1"),
        ("1,000 cells; 0.5 mm. None", "1000 cells 0.5 mm 0"),
        ("ER_positive 10%", "er positive 10%"),
        ("Größe: ÄTZEND", "größe ätzend"),
        ("A", "a"),
        (" ?! ", "?!"),
        ("", ""),
    ],
)
def test_a34_normalised(text: str, same: str) -> None:
    assert normalise(text) == same
    assert normalise(same) == same


def test_a34_closed_and_recall() -> None:
    assert [is_closed(text) for text in ("Yes.", "no", "no tumour", "none", "")] == [True, True, False, False, False]
    assert token_recall("the left upper lobe", "Upper lobe: upper") == pytest.approx(2 / 3)
    assert token_recall("A", "a") == 1.0
    assert token_recall("two", "") == 0.0


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        *(("B", "B"), (" b ", "B"), ("b.", "B"), ("B)", "B"), ("(B)", "B"), ("**B**", "B"), ("B\nSince", "B")),
        *(("B: malignant", "B"), ("B) for sure", "B"), ("B malignant", "B"), ("A, because", "A"), ("E) it is", "E")),
        *(("The answer is B.", "B"), ("Answer: (B)", "B"), ("the answer is b.", "B"), ("option A is right", "A")),
        *(("The correct option: **D**", "D"), ("I choose answer D", "D"), ("Malignant", "B"), ("E. coli", "E")),
        *(
            ("This is a malignant lesion", "B"),
            ("a squamous carcinoma", "C"),
            ("carcinoma", "D"),
            ("e. coli grew", "E"),
        ),
        ("The answer is A: benign, not malignant", "A"),
        # nothing is guessed
        *((text, None) for text in ("", "F", "F) none", "perhaps", "benign or malignant", "A or B: hard to say")),
        *((text, None) for text in ("A) malignant", "B benign", "The answer is A lesion", "option A or option B")),
        *(
            (text, None)
            for text in ("This is not benign", "no evidence of carcinoma", "benignity", "the answer is a cyst")
        ),
    ],
)
def test_a35_the_letter_an_answer_means(answer: str, letter: str | None) -> None:
    assert parse_choice(answer, OPTIONS) == letter


def test_a35_choices_that_are_letters() -> None:
    """Blood groups and panels of a figure."""
    options = {"A": "B", "B": "A", "C": "C", "D": "AB"}
    said = {"B) A": "B", "A: B.": "A", "C": "C", "B": None, "AB": "D", "(d) ab": "D", "The answer is D": "D"}
    assert {text: parse_choice(text, options) for text in said} == said


def test_a35_letters_must_be_among_the_choices() -> None:
    assert parse_choice("C", {"A": "yes", "B": "no"}) is None
    assert parse_choice("x", {"A": "x", "B": "X."}) is None
    assert parse_choice("B", {"A": "x", "B": "X."}) == "B"


@pytest.mark.parametrize(
    "question",
    [
        "Which?\n\nChoose one of these:\nA) one gland\nB) two: x\nC) E. coli",
        "Which?\n A: one gland \n B: two: x\nC: E. coli",
        "Which of\nA: x\nB: y\n\nChoose one of these:\nA) one gland\nB) two: x\nC) E. coli",
        "Vitamin A: which? A: one gland, B: two: x, C: E. coli",
        "Which? (A) one gland (B) two: x (C) E. coli",
    ],
)
def test_a35_choices_of_a_question(question: str) -> None:
    assert options_in(question) == {"A": "one gland", "B": "two: x", "C": "E. coli"}


@pytest.mark.parametrize("question", ["Is it?", "Look at A: what is it?", "B) x\nC) y", "A) x\nC) y"])
def test_a35_no_choices(question: str) -> None:
    assert options_in(question) == {}


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        *(
            ("In-Situ", 1),
            ("It is an in situ carcinoma.", 1),
            ("invasive", 2),
            ("Non invasive", 3),
            ("NORMAL tissue", 0),
        ),
        *(("this is non-invasive", 3), ("clearly normal: no mitoses", 0), ("normal; normal", 0)),
        *((text, None) for text in ("", "abnormal", "normal or invasive", "not normal", "it cannot be invasive")),
        *((text, None) for text in ("without any clearly invasive part", "invasiveness")),
        ("no doubt at all, really: invasive", 2),
    ],
)
def test_a36_the_only_label(answer: str, index: int | None) -> None:
    assert find_label(answer, ["normal", "in_situ", "invasive", "non-invasive"]) == index
