from pathlib import Path

import pytest

from pathplugins.data_tools.engine.areas import Areas, mean_areas, no_tissue_advice


def areas(tissue: float, **left_out: float) -> Areas:
    return Areas(tissue=tissue, left_out=left_out)


def test_shares_are_said_and_small_ones_are_not_nothing() -> None:
    assert areas(0.376, ink=0.0, black=0.001).in_words() == "38% of the area is tissue, 0% ink, <1% black"
    assert areas(1.0).in_words() == "100% of the area is tissue"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (areas(0.3, ink=0.1, black=0.6), ""),
        (areas(0.51, ink=0.0), "over half of the slide is called tissue"),
        (areas(1.0), "all of the slide is called tissue"),
        (areas(0.2, ink=0.7), "over half of the slide is called ink"),
        (areas(0.0, ink=0.999), "all of the slide is called ink"),
        (areas(0.1, fold=0.6), "called fold"),
        (areas(0.1, ink=0.3), "pass --stain or --keep-pen"),
        (areas(0.01, ink=0.02), ""),
    ],
)
def test_unusual_shares_are_questioned(found: Areas, words: str) -> None:
    assert found.question().startswith("question: ") == bool(words)
    assert words in found.question()


def test_shares_survive_as_json_and_their_mean_counts_what_a_slide_lacks_as_none() -> None:
    assert Areas.from_json(areas(0.25, ink=0.5).to_json()) == areas(0.25, ink=0.5)
    mean = mean_areas([areas(0.2, ink=0.4), areas(0.4, fold=0.2)])
    assert mean.tissue == pytest.approx(0.3)
    assert mean.left_out == pytest.approx({"ink": 0.2, "fold": 0.1})


def test_advice_names_the_option_that_helps() -> None:
    assert "--keep-pen" in no_tissue_advice(areas(0.0, ink=0.4, black=0.0), None)
    assert "m.png" in no_tissue_advice(areas(0.0), Path("m.png"))
    assert "the slide" in no_tissue_advice(areas(0.0, ink=0.0), None)
