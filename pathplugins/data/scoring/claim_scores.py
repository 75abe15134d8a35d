"""Scores of claims by a GPT, as the official WSI-LLaVA sums them up: WSI-Precision and WSI-Relevance.

Its judge scores each claim 1, 0.7, 0.3 or 0. An answer is the mean of its claims, rounded to three decimals; the
published number is the plain mean over answers, rounded again. Answers without a score are left out, here counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path
from pathplugins.data.scoring.gpt_reviews import ALL
from pathplugins.data.scoring.metrics import measure

_EXPECTED = '{"QUESTION": {"type": "Report", "claim_results": [{"claim": "...", "score": 0.7}, ...]}, ...}'
_UNTYPED = "default_type"


def claim_scores(path: Path) -> dict[str, dict[str, Any]]:
    """Sum up ``evaluation_results.json`` or ``relevance_evaluation_results.json``, what its second stage writes.

    Returns:
        Type, ``all`` first -> ``claim_score``, the published number with an interval over answers, and
        ``claim_unscored``, answers without a score.

    Raises:
        PathPluginsError: no such file, no JSON, or an answer that is no object.
    """
    found: dict[str, list[float | None]] = {ALL: []}
    for row in _rows(path).values():
        score = _of_answer(row.get("claim_results"))
        for name in (ALL, str(row.get("type", _UNTYPED))):
            found.setdefault(name, []).append(score)
    return {name: _summed(found[name]) for name in sorted(found, key=lambda name: (name != ALL, name))}


def _rows(path: Path) -> Mapping[str, Mapping[str, Any]]:
    if not path.is_file():
        raise PathPluginsError(f"--reviews {path}: no such file{near_path(path)}")
    try:
        rows = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PathPluginsError(f"--reviews {path} is not JSON ({error}); expected {_EXPECTED}") from error
    if not isinstance(rows, dict) or not rows or not all(isinstance(row, dict) for row in rows.values()):
        raise PathPluginsError(f"--reviews {path} holds no answers; expected {_EXPECTED}")
    return rows


def _of_answer(claims: Any) -> float | None:
    """Return the mean of an answer's scores, rounded; a true counts as 1, as it is a number there."""
    claims = claims if isinstance(claims, list) else []
    given = [claim.get("score") for claim in claims if isinstance(claim, dict)]
    scores = [score for score in given if isinstance(score, int | float) and math.isfinite(score)]
    return round(sum(scores) / len(scores), 3) if scores else None


def _summed(scores: list[float | None]) -> dict[str, Any]:
    good = [score for score in scores if score is not None]
    summed: dict[str, Any] = {}
    if good:
        values = np.array(good)
        published = round(sum(good) / len(good), 3)
        summed["claim_score"] = {**measure(lambda at: float(values[at].mean()), len(good)), "value": published}
    return {**summed, "claim_unscored": len(scores) - len(good)}
