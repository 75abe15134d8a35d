"""Multiple choice (feature W14)."""

from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.choices import choice_of_letter, letter, lettered, match_choice, parse_choices


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("", []),
        (" [] ", []),
        ("['benign', 'in situ']", ["benign", "in situ"]),
        ('["it\'s benign", "malignant"]', ["it's benign", "malignant"]),
        ("('a', 'b')", ["a", "b"]),
        ("[1, 2.5, '3']", ["1", "2.5", "3"]),
        (" yes | no|not sure ", ["yes", "no", "not sure"]),
    ],
)
def test_parse(text: str, choices: list[str]) -> None:
    assert parse_choices(text) == choices


@pytest.mark.parametrize(
    "text", ["[1, ", "[None, 'a']", "['a', ['b']]", "benign", "['a']", "a||b", "['a', ' ']", "Yes|yes", "[a, b]"]
)
def test_unreadable(text: str) -> None:
    with pytest.raises(PathPluginsError, match="choices are"):
        parse_choices(text)


def test_letters_go_on_after_z() -> None:
    assert [letter(index) for index in (0, 1, 25, 26, 27, 51, 52, 701, 702)] == [
        *("A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA")
    ]
    lines = lettered([f"choice {number}" for number in range(30)])
    assert (lines[0], lines[25], lines[29]) == ("A) choice 0", "Z) choice 25", "AD) choice 29")
    assert len(set(lines)) == 30


TUMOURS = ["Invasive ductal carcinoma", "Invasive lobular carcinoma", "Benign"]


@pytest.mark.parametrize(
    ("answer", "choices", "index"),
    [
        ("benign", TUMOURS, 2),
        (" INVASIVE ductal carcinoma ", TUMOURS, 0),
        ("B", TUMOURS, 1),
        ("(c).", TUMOURS, 2),
        ("b)", TUMOURS, 1),
        ("a", ["b", "a"], None),  # the letter of one, the text of the other
        ("b) a", ["b", "a"], 1),
        ("(B): A", ["b", "a"], 1),
        ("B. a", ["b", "B. a"], 1),
        ("a", ["a", "b"], 0),
        ("ab", [str(number) for number in range(30)], 27),
        ("The correct option is: benign!", TUMOURS, 2),
        ("lobular", TUMOURS, 1),
        ("Benign.", TUMOURS, 2),
        ("benign4.", TUMOURS, 2),
        ("2", ["Grade 1", "Grade 2"], 1),
        ("10", ["1", "10"], 1),
        ("Mucinous adenoma.", ["adenoma", "mucinous adenoma"], 1),  # both stand in it, one at its start
        ("adenoma", ["villous adenoma", "adenoma, tubular"], 1),  # it stands in both, at the start of one
    ],
)
def test_match(answer: str, choices: list[str], index: int) -> None:
    assert match_choice(answer, choices) == index


@pytest.mark.parametrize(
    ("answer", "choices"),
    [
        ("", TUMOURS),
        ("D", TUMOURS),
        ("necrosis", TUMOURS),
        ("carcinoma", TUMOURS),  # in two choices
        ("either benign or invasive lobular carcinoma", TUMOURS),  # two choices in it
        ("unknown", ["yes", "no"]),
        ("bb", TUMOURS),
        ("not sure", ["yes", "no"]),
        ("12", ["1", "2"]),
        ("1", ["10", "20"]),
    ],
)
def test_no_certain_match(answer: str, choices: list[str]) -> None:
    assert match_choice(answer, choices) is None


@pytest.mark.parametrize(
    ("answer", "index"), [("A", 0), ("b", 1), ("(C).", 2), ("C) A", 2), ("tumour", 3), ("E", None)]
)
def test_a_letter_is_one_where_answers_are_letters(answer: str, index: int | None) -> None:
    assert choice_of_letter(answer, ["B", "C", "A", "tumour"]) == index
