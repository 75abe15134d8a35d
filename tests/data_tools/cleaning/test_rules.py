"""Reasons by thresholds, and which of repeated pairs stays."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.cleaning.rules import Scores, Thresholds, reasons, species_code


def scores() -> Scores:
    return Scores(
        row=np.array([1, 2, 3, 5, 8]),
        words=np.array([30, 40, 19, 20, 25]),
        english=np.array([1, 0.2, 1, 1, 1]),
        digits=np.array([0, 0, 0, 0, 0.6]),
        reference=np.array([0, 0, 0, 0, 0.31]),
        length=np.array([100, 300, 90, 100, 150]),
        species=np.array([0, 0, 0, 0, 2]),
        image_id=np.array([1, 1, 3, 1, 8]),
        caption_id=np.array([1, 2, 3, 5, 3]),
        near_caption_id=np.array([1, 2, 3, 1, 3]),
    )


def left_out(**limits: object) -> dict[str, list[int]]:
    found = reasons(scores(), Thresholds(**limits))  # type: ignore[arg-type]
    return {name: scores().row[flags].tolist() for name, flags in found.items() if flags.any()}


def test_the_usual_limits() -> None:
    assert left_out() == {
        "few words": [3],
        "not English": [2],
        "digits": [8],
        "reference": [8],
        "not human": [8],
        "repeat": [2, 5],
    }


def test_the_longest_caption_without_another_reason_stays() -> None:
    assert left_out(min_english=0.0)["repeat"] == [1, 5]
    assert left_out(repeats="pair")["repeat"] == [5]
    assert left_out(repeats="caption", min_words=0, max_digits=1, max_reference=1, species="keep")["repeat"] == [3, 5]
    assert "repeat" not in left_out(repeats="none")


def test_species_are_left_out_as_asked() -> None:
    found = scores()
    found.species = np.array([2, 1, 0, 0, 0])
    left = {kind: reasons(found, Thresholds(species=kind))["not human"] for kind in ("subject", "any", "keep")}  # type: ignore[arg-type]
    assert {kind: found.row[flags].tolist() for kind, flags in left.items()} == {
        "subject": [1],
        "any": [1, 2],
        "keep": [],
    }
    assert [species_code(text) for text in ("", "undecided: cat", "subject: mice")] == [0, 1, 2]


@pytest.mark.parametrize(("limit", "value"), [("max_digits", 1.5), ("min_english", -0.1), ("max_reference", 2)])
def test_shares_are_shares(limit: str, value: float) -> None:
    with pytest.raises(PathPluginsError, match=f"--{limit.replace('_', '-')} is a share from 0 to 1, got"):
        Thresholds(**{limit: value})  # type: ignore[arg-type]
    with pytest.raises(PathPluginsError, match="--min-words must be 0 or more"):
        Thresholds(min_words=-1)
