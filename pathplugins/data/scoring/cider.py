"""CIDEr-D: how alike a report and its reference are in phrases that tell reports apart.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015, sections 3 and 5: the
variant D, which papers on reports give as CIDEr. Phrases are n-grams of one to four words as they stand, without stems.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDERS = (1, 2, 3, 4)
_SIGMA = 6.0  #: words; how much a difference in length costs
_SCALE = 10.0

_Phrase = tuple[str, ...]


def cider_d(references: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]) -> np.ndarray:
    """Score each candidate against the one reference of its question.

    A phrase weighs ``log(N / df)``, with ``df`` of the ``N`` references holding it. One reference alone tells nothing
    apart: all weights are 0, and so are the scores.

    Args:
        references: words of each reference.
        candidates: words of each candidate, in the same order.

    Returns:
        Scores in [0, 10], float64 [N]; 10 for a candidate that is its reference, if that has four words or more.
    """
    total = np.zeros(len(references))
    for order in ORDERS:
        known = [_counts(words, order) for words in references]
        holders = Counter(phrase for counts in known for phrase in counts)
        rarity = {phrase: math.log(len(references) / count) for phrase, count in holders.items()}
        unseen = math.log(len(references)) if references else 0.0
        for index, (wanted, words) in enumerate(zip(known, candidates, strict=True)):
            right = {phrase: count * rarity[phrase] for phrase, count in wanted.items()}
            said = {phrase: count * rarity.get(phrase, unseen) for phrase, count in _counts(words, order).items()}
            total[index] += _likeness(right, said)
    lengths = np.array([[len(r), len(c)] for r, c in zip(references, candidates, strict=True)], float).reshape(-1, 2)
    penalty = np.exp(-((lengths[:, 0] - lengths[:, 1]) ** 2) / (2 * _SIGMA**2))
    return _SCALE * penalty * total / len(ORDERS)


def _counts(words: Sequence[str], order: int) -> Counter[_Phrase]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _likeness(right: dict[_Phrase, float], said: dict[_Phrase, float]) -> float:
    """Return the cosine of two weighted vectors, in which nothing said more often than it should counts more."""
    norms = math.sqrt(sum(w * w for w in right.values())) * math.sqrt(sum(w * w for w in said.values()))
    shared = sum(min(weight, right[phrase]) * right[phrase] for phrase, weight in said.items() if phrase in right)
    return shared / norms if norms else 0.0
