"""Analyse one slide: CLIP features of the candidates, rankings and the chosen patches.

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
    """The features, scores, clusters and chosen patches of one slide."""

    grid: Grid
    features: np.ndarray
    """float16 ``[N, D]``, as written; all other fields are computed from these."""
    prompts: Sequence[str]
    direct: np.ndarray
    """Scores by prompts, ``[N]``."""
    best_prompt: np.ndarray
    """Index of the most similar prompt, ``[N]``."""
    report: np.ndarray | None
    """Scores by the report, ``[N]``; None without a report."""
    sentences: int
    """Number of sentences in the report."""
    labels: np.ndarray
    """Cluster ``[N]``."""
    picks: list[Pick]
    near_duplicates: int
    """Number of patches left out because they resemble a chosen one."""
    quality: dict[str, Any]
    """Quality measures of the clusters."""

    def rank(self, which: Literal["direct", "report"]) -> np.ndarray:
        """Return the rank of every patch, ``[N]``, from 0."""
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
    """Encode the candidates (reading the next batch meanwhile), rank them and choose."""
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
    """Derive a slide's own seed, so that results do not depend on the order of slides."""
    return int.from_bytes(hashlib.sha256(f"{seed} {slide_id}".encode()).digest()[:4], "little")
