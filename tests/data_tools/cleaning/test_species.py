"""Captions about animals, and those that only name their antibodies."""

from __future__ import annotations

import pytest

from pathplugins.data_tools.cleaning.captions import score_caption, tidy


def told(caption: str) -> str:
    return score_caption(caption, tidy(caption)).species


@pytest.mark.parametrize(
    ("caption", "word"),
    [
        ("Granulomas in mice after infection", "mice"),
        ("Mouse liver, H&E", "mouse"),
        ("Rats were treated with cisplatin; kidney", "rats"),
        ("Section from a male Wistar rat", "wistar"),
        ("Tumor in C57BL/6 mice", "c57bl/6"),
        ("Mouse kidney stained with rabbit polyclonal antibody", "mouse"),
        ("Lungs of guinea pigs", "guinea pigs"),
    ],
)
def test_subjects(caption: str, word: str) -> None:
    assert told(caption) == f"subject: {word}"


@pytest.mark.parametrize("caption", ["Carcinoma, canine region", "PAS stain. Rabbit.", "Cat: hyperplasia"])
def test_named_alone_is_undecided(caption: str) -> None:
    assert told(caption).startswith("undecided: ")


@pytest.mark.parametrize(
    "caption",
    [
        "Carcinoma stained with rabbit polyclonal antibody to p53",
        "Detected by goat anti-mouse IgG",
        "Blocked in bovine serum albumin",
        "Amplified MDM2, the human homologue of mouse double minute",
        "Lymph node in cat-scratch disease",
        "Horseshoe kidney; pigeon breeder's lung",
        "Mouse monoclonal, rabbit secondary and goat serum",
        "Sheep red blood cells form rosettes",
        "Stratified epithelium with category 2 changes and catarrh",
    ],
)
def test_what_only_sounds_so(caption: str) -> None:
    assert told(caption) == ""
