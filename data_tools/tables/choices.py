"""Choices of a question: every label of the table, shuffled for each slide by the seed.

In one order for all slides, a letter would be a class: a model could learn the letter without the words, and one that
always answers A would score the share of the first class. Shuffled, it scores one in the number of choices.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import stable_seed
from pathplugins.data.choices import parse_choices

AUTO, NONE = "auto", "none"


def choices_of(text: str, labels: Iterable[str]) -> list[str]:
    """Return the choices of all questions; none for an open question.

    Args:
        text: ``auto`` for all labels, ``none``, or the choices separated by ``|``.
        labels: Label of each slide.

    Raises:
        PathPluginsError: fewer than two, two that differ by case alone, or a label that is none of them.
    """
    distinct = sorted(set(labels))
    if text == NONE:
        return []
    if text != AUTO:
        try:
            choices = parse_choices(text)
        except PathPluginsError as error:
            raise PathPluginsError(f"--choices: {error}; or pass {AUTO} or {NONE}") from None
        others = [label for label in distinct if label not in choices]
        if others:
            raise PathPluginsError(f"--choices {text} lacks the labels {', '.join(others)}; add them, or pass auto")
        return choices
    if len(distinct) < 2:
        raise PathPluginsError(f"all slides are {', '.join(distinct)}; choices need two labels: pass --choices none")
    folded: dict[str, str] = {}
    for label in distinct:
        if (other := folded.setdefault(label.casefold(), label)) != label:
            raise PathPluginsError(f"the labels {other} and {label} differ by case alone; correct one of them")
    return distinct


def shuffled(choices: list[str], slide_id: str, seed: int) -> list[str]:
    """Return the choices in the order of a slide, the same in every run with this seed."""
    order = np.random.default_rng(stable_seed(seed, "choices", slide_id)).permutation(len(choices))
    return [choices[at] for at in order]
