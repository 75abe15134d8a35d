"""Rules that leave pairs out: thresholds over the scores, and which of several pairs of one image stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pathplugins.core.errors import PathPluginsError

from .species import SUBJECT

Repeats = Literal["image", "pair", "caption", "none"]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits of the scores; the defaults leave out what the published cleaning leaves out."""

    min_words: int = 20
    """Captions of fewer words are left out, as PA-LLaVA's were."""
    min_english: float = 0.5
    max_digits: float = 0.5
    max_reference: float = 0.3
    species: Literal["subject", "any", "keep"] = "subject"
    """Captions about other species that are left out: where they read like the subject, where any is named, or none."""
    min_side: int = 100
    """Pixels of the shorter side of an image; this and the next two where images were looked at."""
    min_spread: float = 5.0
    """Standard deviation of the grey values, below which an image shows nothing."""
    min_gradient: float = 1.0
    """Mean difference of neighbouring grey values, below which an image is blurred."""
    keep_leaks: bool = False
    """Keep what evaluation sets hold."""
    repeats: Repeats = "image"
    """Of pairs with the same image (``image``), with the same image and nearly the same caption (``pair``), or with
    nearly the same caption (``caption``) the one with the longest caption stays; ``none`` keeps all."""

    def __post_init__(self) -> None:
        for name in ("min_english", "max_digits", "max_reference"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise PathPluginsError(f"--{name.replace('_', '-')} is a share from 0 to 1, got {value}")
        for name in ("min_side", "min_spread", "min_gradient"):
            if getattr(self, name) < 0:
                raise PathPluginsError(f"--{name.replace('_', '-')} must be 0 or more, got {getattr(self, name)}")
        if self.min_words < 0:
            raise PathPluginsError(f"--min-words must be 0 or more, got {self.min_words}; 0 keeps short captions")


@dataclass(kw_only=True)
class Scores:
    """Scores of N pairs, an array [N] each."""

    row: np.ndarray
    words: np.ndarray
    english: np.ndarray
    digits: np.ndarray
    reference: np.ndarray
    length: np.ndarray
    species: np.ndarray
    """`species_code` of each."""
    image_id: np.ndarray
    """Row of the first pair with the same image."""
    caption_id: np.ndarray
    """Row of the first pair with the same words in its caption."""
    near_caption_id: np.ndarray
    """Row of the first pair with nearly the same caption."""
    fault: np.ndarray | None = None
    """bool, whether its image cannot be used; this and the rest are None where no image was looked at."""
    side: np.ndarray | None = None
    spread: np.ndarray | None = None
    gradient: np.ndarray | None = None
    leak: np.ndarray | None = None
    """bool, whether an evaluation set holds its caption or image; None where none was given."""


def species_code(text: str) -> int:
    """Return 0 for a caption about no other species, 1 where that is undecided, 2 for a subject."""
    return 2 if text.startswith(SUBJECT) else 1 if text else 0


def reasons(scores: Scores, limits: Thresholds) -> dict[str, np.ndarray]:
    """Return for each reason which pairs it leaves out, bool [N]; a pair may have several.

    Of repeated pairs one without any other reason stays, where there is one.
    """
    found = {
        "few words": scores.words < limits.min_words,
        "not English": scores.english < limits.min_english,
        "digits": scores.digits > limits.max_digits,
        "reference": scores.reference > limits.max_reference,
        "not human": scores.species >= {"subject": 2, "any": 1, "keep": 3}[limits.species],
    }
    if scores.fault is not None:
        found["unusable image"] = scores.fault
        found["small image"] = ~scores.fault & (scores.side < limits.min_side)
        found["flat image"] = ~scores.fault & (scores.spread < limits.min_spread)
        found["blurred image"] = ~scores.fault & (scores.gradient < limits.min_gradient)
    if scores.leak is not None and not limits.keep_leaks:
        found["leak"] = scores.leak
    repeated = _repeats(scores, limits.repeats, spoilt=np.logical_or.reduce([*found.values()]))
    return found if repeated is None else {**found, "repeat": repeated}


def _repeats(scores: Scores, repeats: Repeats, *, spoilt: np.ndarray) -> np.ndarray | None:
    keys = {
        "image": [scores.image_id],
        "pair": [scores.image_id, scores.near_caption_id],
        "caption": [scores.near_caption_id],
        "none": [],
    }[repeats]
    if not keys:
        return None
    order = np.lexsort((scores.row, -scores.length, spoilt, *keys))  # the last sorts first; the best leads its group
    ordered = np.stack([key[order] for key in keys])
    later = np.zeros(len(order), bool)
    later[order[1:]] = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
    return later
