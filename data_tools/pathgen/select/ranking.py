"""Rank the patches of a slide and choose representative ones: pure functions of their features.

Three ways of choosing as published (github.com/PathFoundation/PathGen-1.6M, Patch_selection): by prompts of the organ,
by the sentences of the slide's report, and spread over k-means clusters; here they share one result without near
duplicates. Features have length 1. Axes: N patches, D features, P prompts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

from ...clip.model import LOGIT_SCALE

PER_PATCH = 1.6  #: the number of clusters is the square root of this times the number of patches
PUBLISHED_BATCH = 128  #: the published code counts batches of this size instead of patches
SAMPLE = 2000  #: patches sampled for the silhouette, which compares every patch with every other

Reason = Literal["direct", "report", "spread"]


@dataclass(frozen=True, kw_only=True)
class ChoiceSpec:
    """How many patches to choose, and by which rankings."""

    target: int = 256
    """Largest number of patches of a slide."""
    shares: tuple[float, float, float] = (1.0, 1.0, 2.0)
    """Shares of ``target`` for the direct ranking, the report ranking and the spread; on a slide without a report the
    other two share all."""
    clusters: int | Literal["auto", "published"] = "auto"
    """``auto`` derives the number from the patches, ``published`` from batches of 128 patches."""
    max_similarity: float = 0.98
    """A patch with a higher cosine to a chosen patch is left out; 1 leaves out none."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.target < 1:
            raise PathPluginsError(f"--target must be at least 1 patch, got {self.target}; 256 is the published number")
        if len(self.shares) != 3 or not all(math.isfinite(s) and s >= 0 for s in self.shares) or not any(self.shares):
            raise PathPluginsError(
                f"--shares must be three numbers, direct, report and spread, not all 0 (e.g. 1,1,2), got {self.shares}"
            )
        if isinstance(self.clusters, int) and self.clusters < 1:
            raise PathPluginsError(f"--clusters must be auto, published or a number from 1, got {self.clusters}")
        if not 0 < self.max_similarity <= 1:
            raise PathPluginsError(
                f"--max-similarity must be a cosine above 0 and at most 1 (e.g. 0.98), got {self.max_similarity:g}"
            )

    def counts(self, *, report: bool) -> tuple[int, int, int]:
        """Return how many patches each of the three ways chooses; their sum is ``target``."""
        direct, from_report, spread = self.shares
        from_report = from_report if report else 0
        if not (whole := direct + from_report + spread):
            return 0, 0, self.target  # all patches were to come from a report, and there is none
        by_direct, by_report = (round(self.target * share / whole) for share in (direct, from_report))
        by_direct = min(by_direct, self.target)
        by_report = min(by_report, self.target - by_direct)
        if not spread:
            by_direct = self.target - by_report if direct else 0
            by_report = self.target - by_direct
        return by_direct, by_report, self.target - by_direct - by_report


class Pick(NamedTuple):
    """A chosen patch: its index, and which ranking chose it."""

    index: int
    reason: Reason


def direct_scores(features: np.ndarray, prompts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 100 times the largest cosine to a prompt, and the index of that prompt; ``[N]`` each.

    Args:
        features: ``[N, D]``.
        prompts: ``[P, D]``.
    """
    scores = LOGIT_SCALE * features @ prompts.T  # [N, P]
    return scores.max(axis=1), scores.argmax(axis=1)


def report_scores(features: np.ndarray, sentences: np.ndarray) -> np.ndarray:
    """Return 100 times the summed cosines to the sentences ``[P, D]``; ``[N]``."""
    return (LOGIT_SCALE * features @ sentences.T).sum(axis=1)


def ranked(scores: np.ndarray) -> np.ndarray:
    """Return indices ``[N]``, the highest score first; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def cluster_count(patches: int, asked: int | Literal["auto", "published"]) -> int:
    """Return the number of k-means clusters, from 1 to the number of patches."""
    if isinstance(asked, int):
        k = asked
    else:
        n = patches if asked == "auto" else math.ceil(patches / PUBLISHED_BATCH)
        k = math.ceil(math.sqrt(n * PER_PATCH))
    return max(1, min(k, patches))


def cluster(features: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Assign every patch to a cluster, ``[N]``, numbered from 0 without gaps; fewer than ``k`` if patches are equal."""
    sklearn_cluster = need("sklearn.cluster", extra="pathgen")
    # one thread: the result must not depend on the number of cores
    one_thread = need("threadpoolctl", extra="pathgen").threadpool_limits(1)
    with one_thread, warnings.catch_warnings():
        # the warning says that fewer than k clusters were found, which the numbering below allows for
        warnings.simplefilter("ignore", need("sklearn.exceptions", extra="pathgen").ConvergenceWarning)
        labels = sklearn_cluster.KMeans(k, n_init=1, random_state=seed).fit_predict(features.astype(np.float64))
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def cluster_quality(features: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """Compute silhouette, Davies-Bouldin and Calinski-Harabasz; None where undefined (one cluster, or N clusters)."""
    metrics = need("sklearn.metrics", extra="pathgen")
    rows = np.arange(len(labels))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))

    def measured(function: Any, x: np.ndarray, y: np.ndarray) -> float | None:
        return float(function(x, y)) if 2 <= len(np.unique(y)) < len(y) else None

    return {
        "silhouette": measured(metrics.silhouette_score, features[rows], labels[rows]),
        "silhouette_patches": len(rows),
        "davies_bouldin": measured(metrics.davies_bouldin_score, features, labels),
        "calinski_harabasz": measured(metrics.calinski_harabasz_score, features, labels),
    }


def choose(
    features: np.ndarray, direct: np.ndarray, report: np.ndarray | None, labels: np.ndarray, spec: ChoiceSpec
) -> tuple[list[Pick], int]:
    """Choose patches; return them, and how many were left out as near duplicates.

    The direct ranking chooses first, then the report, then the spread; the first of several near duplicates stays.

    Args:
        features: ``[N, D]``.
        direct: scores ``[N]``.
        report: scores ``[N]``; None without a report.
        labels: cluster ``[N]``.
        spec: how many, and by which shares.
    """
    by_direct, by_report, by_spread = spec.counts(report=report is not None)
    kept = _Kept(features, spec.max_similarity)
    kept.add(ranked(direct), by_direct, "direct")
    if report is not None:
        kept.add(ranked(report), by_report, "report")
    kept.add_rounds(spread_order(labels, spec.seed), by_spread)
    return kept.picks, len(kept.duplicates)


def spread_order(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return the patches of each cluster in random order, the largest cluster first."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    shuffled = [generator.permutation(patches) for patches in members]  # in the order of labels: seeded
    return sorted(shuffled, key=len, reverse=True)


class _Kept:
    """The patches chosen so far."""

    def __init__(self, features: np.ndarray, max_similarity: float) -> None:
        self.picks: list[Pick] = []
        self.duplicates: set[int] = set()
        self._features, self._max = features, max_similarity
        self._rows: set[int] = set()
        self._chosen = np.empty((64, features.shape[1]), features.dtype)

    def add(self, candidates: Iterable[int], most: int, reason: Reason) -> int:
        """Take up to ``most`` candidates in their order; return how many were taken."""
        taken, rows = 0, iter(candidates)
        while taken < most and (row := next(rows, None)) is not None:  # leaves unused candidates in the iterator
            if row not in self._rows and row not in self.duplicates and not self._is_duplicate(int(row)):
                self._take(int(row), reason)
                taken += 1
        return taken

    def add_rounds(self, clusters: list[np.ndarray], most: int) -> None:
        """Take an equal share of ``most`` (at least one) from each cluster, then one from each in turn."""
        waiting = [iter(members.tolist()) for members in clusters]
        quota, left = max(1, most // len(clusters)), most
        while left and waiting:
            going = []
            for members in waiting:
                if left:
                    taken = self.add(members, min(quota, left), "spread")
                    left -= taken
                    if taken:
                        going.append(members)
            waiting, quota = going, 1

    def _is_duplicate(self, row: int) -> bool:
        if self._max >= 1 or not self.picks:
            return False
        if (self._chosen[: len(self.picks)] @ self._features[row]).max() <= self._max:
            return False
        self.duplicates.add(row)
        return True

    def _take(self, row: int, reason: Reason) -> None:
        if len(self.picks) == len(self._chosen):
            self._chosen = np.concatenate([self._chosen, np.empty_like(self._chosen)])
        self._chosen[len(self.picks)] = self._features[row]
        self.picks.append(Pick(row, reason))
        self._rows.add(row)
