"""CIDEr-D against values worked out by hand from the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pathplugins.data.scoring.cider import cider_d


def test_values_by_hand() -> None:
    """Two references without a common phrase: every phrase weighs log 2, which cancels in the cosine.

    The first candidate shares 2 of its 3 words ("a b" of "a b e", reference "a b c d"), one of 2 pairs, no triple:
    cosines 2 / sqrt(4 * 3) and 1 / sqrt(3 * 2); it is one word shorter. The second is its reference.
    """
    scores = cider_d([[*"abcd"], [*"uvwxy"]], [[*"abe"], [*"uvwxy"]])
    by_hand = 10 / 4 * math.exp(-1 / 72) * (2 / math.sqrt(12) + 1 / math.sqrt(6))
    assert scores == pytest.approx([by_hand, 10.0])


def test_common_phrases_weigh_less_and_repetition_does_not_pay() -> None:
    """ "the" stands in both references and weighs log(2 / 2) = 0; "gland" weighs log 2, said thrice it counts once.

    Of single words: weights (gland: log 2) against (gland: 3 log 2, clipped to log 2) give 1 / 3. No pair is shared
    but those of "the gland"; "gland gland" is new to the references and weighs log 2 as well.
    """
    references = [["the", "gland"], ["the", "duct"]]
    scores = cider_d(references, [["gland", "gland", "gland"], ["the"]])
    assert scores == pytest.approx([10 / 4 * math.exp(-1 / 72) * (1 / 3 + 0), 0.0])


def test_nothing_to_compare() -> None:
    assert cider_d([["a", "b"]], [["a", "b"]]).tolist() == [0.0]
    assert cider_d([["a"], ["b"]], [[], ["b"]]).tolist() == [0.0, 2.5]
    assert cider_d([], []).shape == (0,)
    assert cider_d([["a"], ["b"]], [[], []]).dtype == np.float64
