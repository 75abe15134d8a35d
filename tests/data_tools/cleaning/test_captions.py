"""Scores of captions."""

from __future__ import annotations

import unicodedata

import pytest

from pathplugins.data_tools.cleaning.captions import CaptionScores, score_caption, tidy


def scored(caption: str) -> CaptionScores:
    return score_caption(caption, tidy(caption))


@pytest.mark.parametrize(
    ("caption", "clean"),
    [
        ("(A) Lung,\n  (B, C) liver (x40).", "Lung, liver (x40)."),
        ("Fig. 2A: Nests of cells; Figure 3 shows more.", "Nests of cells; shows more."),
        ("Fibrosis in configuration 4", "Fibrosis in configuration 4"),
        (unicodedata.normalize("NFD", "Grön"), "Grön"),
    ],
)
def test_marks_of_figures_and_spaces_go(caption: str, clean: str) -> None:
    assert tidy(caption) == clean


def test_words_are_counted_as_written() -> None:
    assert scored("(A) Lung adenocarcinoma, H&E x40.").words == 5
    assert scored("").words == scored("").length == 0


@pytest.mark.parametrize(
    "caption",
    [
        "Nests of tumour cells with hyperchromatic nuclei in a desmoplastic stroma (H&E, x200).",
        "Squamous cell carcinoma, keratin pearls, 400x",
    ],
)
def test_english_is_taken_for_it(caption: str) -> None:
    assert scored(caption).english > 0.9


@pytest.mark.parametrize(
    "caption",
    [
        "Corte histológico de la piel con una lesión que muestra células de un melanoma",
        "Coupe histologique du foie avec des cellules dans une fibrose",
        "Histologischer Schnitt der Haut mit einem Tumor und dem Stroma von Zellen zu sehen",
        "肺腺癌の組織像",
        "Гистологический срез печени",
    ],
)
def test_other_languages_are_not(caption: str) -> None:
    assert scored(caption).english < 0.5


def test_digits_and_references() -> None:
    assert scored("12345 678 90 1").digits == 1
    assert scored("Ki-67 index of 40 percent in tumour cells").digits < 0.15
    cited = "Smith J, Doe AB, Miller C. Lung. J Pathol. 2015;12(3):45-67. doi:10.1000/xyz.123"
    assert scored(cited).reference > 0.5
    assert scored("Lung with granulomas, modified after Smith et al.; reproduced with permission").reference < 0.2
    assert scored("Lung with granulomas").reference == 0
