"""Analysis of one slide: candidates, their CLIP features, the rankings and the choice.

Axes: N patches, D features, P prompts.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...clip.model import Clip
from ...encoders.encode_slide import FeatureOptions, OnBatch, encoded_batches
from ...slides.slide import Slide
from .grid import Grid
from .ranking import (
    ChoiceSpec,
    Pick,
    choose,
    cluster,
    cluster_count,
    cluster_quality,
    direct_scores,
    ranked,
    report_scores,
)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that is found out about the patches of a slide."""

    grid: Grid
    features: np.ndarray
    """float16 ``[N, D]``, as written; all that follows is computed from these."""
    prompts: Sequence[str]
    direct: np.ndarray
    """Scores ``[N]``."""
    best_prompt: np.ndarray
    """Index of the prompt a patch is most like, ``[N]``."""
    report: np.ndarray | None
    """Scores ``[N]``; None without a report."""
    sentences: int
    """Of the report."""
    labels: np.ndarray
    """Cluster ``[N]``."""
    picks: list[Pick]
    near_duplicates: int
    """Patches left out for being like one that was chosen."""
    quality: dict[str, Any]
    """Of the clusters."""

    def rank(self, which: Literal["direct", "report"]) -> np.ndarray:
        """Place ``[N]`` of every patch in a ranking, counted from 0."""
        return self._ranks[which]

    @functools.cached_property
    def _ranks(self) -> dict[str, np.ndarray]:
        scores = {"direct": self.direct, "report": self.report}
        return {name: np.argsort(ranked(found)) for name, found in scores.items() if found is not None}


def analyse(
    slide: Slide,
    grid: Grid,
    clip: Clip,
    prompts: Sequence[str],
    report: Sequence[str],
    spec: ChoiceSpec,
    options: FeatureOptions,
    on_batch: OnBatch | None = None,
) -> Analysis:
    """Encode the candidates, reading the next while one batch is encoded, and choose among them."""
    with closing(encoded_batches(slide, grid, clip.images, options, on_batch)) as batches:
        stored = np.concatenate([batch.astype(np.float16) for batch in batches])  # [N, D]
    features = stored.astype(np.float32)
    spec = replace(spec, seed=seed_of(spec.seed, slide.slide_id))
    direct, best_prompt = direct_scores(features, clip.texts(prompts))
    by_report = report_scores(features, clip.texts(report)) if report else None
    labels = cluster(features, cluster_count(len(features), spec.clusters), spec.seed)
    picks, near_duplicates = choose(features, direct, by_report, labels, spec)
    return Analysis(
        grid=grid,
        features=stored,
        prompts=prompts,
        direct=direct,
        best_prompt=best_prompt,
        report=by_report,
        sentences=len(report),
        labels=labels,
        picks=picks,
        near_duplicates=near_duplicates,
        quality=cluster_quality(features, labels, spec.seed),
    )


def seed_of(seed: int, slide_id: str) -> int:
    """A seed for each slide, so that none depends on which slides were done before it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {slide_id}".encode()).digest()[:4], "little")
