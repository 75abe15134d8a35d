"""Score reports: n-grams (BLEU, CIDEr-D), common sequences (ROUGE-L), alignments (METEOR) and clinical terms.

All of it is computed offline. METEOR aligns equal words and equal stems; synonyms would need WordNet, a download.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pathplugins.core.optional import need
from pathplugins.data.scoring.cider import cider_d
from pathplugins.data.scoring.metrics import Measure, measure
from pathplugins.data.scoring.terms import Terms
from pathplugins.data.scoring.words import words_of

MODULES = ("nltk.translate.bleu_score", "nltk.translate.meteor_score", "rouge_score.rouge_scorer")
EXTRA = "scores"

_ORDERS = (1, 2, 3, 4)

Words = list[str]


def score_reports(answers: Sequence[str], predictions: Sequence[str], terms: Terms) -> dict[str, Any]:
    """Score free text against one reference each.

    Args:
        answers: the right reports.
        predictions: what the model wrote, in the same order.
        terms: what counts as a clinical term.

    Returns:
        ``bleu_1`` to ``bleu_4`` of all reports together; ``rouge_l``, ``meteor``, ``cider`` and ``term_recall`` as
        means over the reports, each with its interval. ``cider`` is left out below two reports, ``term_recall`` where
        no reference names a term. ``empty``: predictions without a word; they count, with 0.

    Raises:
        MissingDependencyError: the packages of the extra ``scores`` are not there.
    """
    right, said = ([*map(words_of, texts)] for texts in (answers, predictions))
    pairs = [*zip(right, said, strict=True)]
    scores: dict[str, Any] = _bleu(pairs)
    scores["rouge_l"] = _mean(rouge_l(zip(answers, predictions, strict=True)))
    scores["meteor"] = _mean(_meteor(pairs))
    if len(pairs) > 1:
        scores["cider"] = _mean(cider_d(right, said))
    recalls = [_recall(terms, answer, text) for answer, text in zip(answers, predictions, strict=True)]
    if known := [recall for recall in recalls if recall is not None]:
        scores["term_recall"] = _mean(known)
    return {**scores, "empty": sum(not words for words in said)}


def _bleu(pairs: Sequence[tuple[Words, Words]]) -> dict[str, Measure]:
    """Return BLEU of the corpus (Papineni et al., 2002), without smoothing, up to each order."""
    bleu = need(MODULES[0], extra=EXTRA)
    counts = np.array(  # [reports, orders, (matched, said)]
        [[_matches(bleu, wanted, words, order) for order in _ORDERS] for wanted, words in pairs], float
    )
    lengths = np.array([(len(wanted), len(words)) for wanted, words in pairs], float)  # [reports, 2]

    def statistic(order: int) -> Callable[[np.ndarray], float]:
        def value(at: np.ndarray) -> float:
            matched, told = counts[at, :order].sum(axis=0).T
            if not matched.all():
                return 0.0
            return bleu.brevity_penalty(*lengths[at].sum(axis=0)) * math.exp(np.log(matched / told).mean())

        return value

    return {f"bleu_{order}": measure(statistic(order), len(pairs)) for order in _ORDERS}


def _matches(bleu: Any, wanted: Words, words: Words, order: int) -> tuple[int, int]:
    precision = bleu.modified_precision([wanted], words, order)
    return precision.numerator, max(len(words) - order + 1, 0)  # its own denominator is 1 where there are no n-grams


def rouge_l(pairs: Iterable[tuple[str, str]]) -> list[float]:
    """Return F1 of the longest common sequence of words (Lin, 2004) of each report, given as (right, said)."""
    scorer = need(MODULES[2], extra=EXTRA).RougeScorer(["rougeL"], tokenizer=_Words())
    return [scorer.score(right, said)["rougeL"].fmeasure for right, said in pairs]


def _meteor(pairs: Sequence[tuple[Words, Words]]) -> list[float]:
    """Return METEOR (Lavie and Agarwal, 2007) of each report, without synonyms."""
    meteor = need(MODULES[1], extra=EXTRA)
    return [meteor.single_meteor_score(wanted, words, wordnet=_NoSynonyms()) for wanted, words in pairs]


def _recall(terms: Terms, answer: str, prediction: str) -> float | None:
    wanted = terms.findings(answer)
    return len(wanted & terms.findings(prediction)) / len(wanted) if wanted else None


def _mean(values: Sequence[float] | np.ndarray) -> Measure:
    array = np.asarray(values, float)
    return measure(lambda at: float(array[at].mean()), len(array))


class _Words:
    """Splits texts as for the other scores."""

    def tokenize(self, text: str) -> Words:
        """Return the words of a text."""
        return words_of(text)


class _NoSynonyms:
    """Stands in for WordNet."""

    def synsets(self, _word: str) -> list[Any]:
        """Return no synonym."""
        return []
