"""Ids as spreadsheets leave them are matched where that is clear, and named where it is not."""

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.spreadsheets import probable_cause, same_ids


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("123", "00123"),
        ("123.0", "00123"),
        ("123", "0123.0"),
        ("1.23E+05", "123456"),
        ("1.23457E+18", "1234567890123456789"),
        ("1234567890123450000", "1234567890123456789"),
        ("12000", "12E3"),  # a plate's name, taken for a number
        ("s 1", " s  1 "),
        ("slide-a", "Slide-A"),
        ("-7", "-07"),
    ],
)
def test_what_a_spreadsheet_makes_of_an_id(written: str, there: str) -> None:
    found = same_ids([written, "x"], [there, "x", "other", "99"], where="t.csv")
    assert (found.matched, found.lost) == ({written: there}, [])
    assert f"1 id changed by a spreadsheet, read as before the change: {written} is {there}" == found.note()


def test_exact_ids_win_and_strangers_are_lost() -> None:
    found = same_ids(["123", "00123", "124", "TCGA-1"], ["123", "00123", "TCGA-2"], where="t.csv")
    assert (found.matched, found.lost, found.note()) == ({}, ["124", "TCGA-1"], None)


def test_names_that_are_no_numbers_are_not_rounded() -> None:
    assert same_ids(["12A"], ["012A", "1.2A"], where="t.csv").lost == ["12A"]
    assert same_ids(["NaN", "Infinity"], ["0NaN"], where="t.csv").lost == ["NaN", "Infinity"]


def test_what_is_not_clear_is_one_error() -> None:
    with pytest.raises(
        PathPluginsError, match=r"t\.csv: .* 123 may be 00123 or 0123; 5 and 5\.0 may each be 05: correct"
    ):
        same_ids(["123", "5", "5.0"], ["0123", "00123", "05"], where="t.csv")


def test_the_probable_cause_is_part_of_an_error() -> None:
    assert probable_cause(["7", "8"], ["007", "x"]) == (
        "; 1 of them look as a spreadsheet leaves ids (7 for 007): write them as they are, with the column as text"
    )
    assert probable_cause(["y"], ["007"]) == ""
