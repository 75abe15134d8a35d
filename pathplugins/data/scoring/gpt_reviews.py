"""Reviews of two answers by a GPT, as LLaVA and Quilt-LLaVA sum them up: how the second does beside the first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path
from pathplugins.data.scoring.metrics import measure

ALL = "all"
"""Category of all reviews."""
_PAIR = re.compile(r"\s*(-?\d+(?:\.\d+)?)(?:\s*,\s*|\s+)(-?\d+(?:\.\d+)?)\s*")
_EXPECTED = 'one {"question_id", "category", "tuple": [8, 6]} a line, or "content" whose first line is 8 6'


def review_scores(path: Path) -> dict[str, dict[str, Any]]:
    """Sum up a file of reviews.

    Args:
        path: JSON lines with ``tuple`` or ``score``, the two scores, or ``content``, the reply of the GPT, whose first
            line they are (``8 6`` or ``8,6``); ``category`` where there are some.

    Returns:
        Category, ``all`` first -> ``gpt_relative`` (100 times the mean of the second scores over that of the first,
        absent where the latter is 0), ``gpt_first`` and ``gpt_second``, their means; and ``gpt_unreadable``, replies
        without two scores of 0 or above. Those are left out; the published code counts them as -1.

    Raises:
        PathPluginsError: no such file, no JSON lines, or a row without scores.
    """
    rows = [*_rows(path)]
    if not rows:
        raise PathPluginsError(f"--reviews {path} is empty; expected {_EXPECTED}")
    found: dict[str, list[tuple[float, float] | None]] = {ALL: []}
    for row in rows:
        pair = _pair(row)
        found[ALL].append(pair)
        if category := row.get("category"):
            found.setdefault(str(category), []).append(pair)
    return {name: _summed(found[name]) for name in sorted(found, key=lambda name: (name != ALL, name))}


def pair_in(reply: str) -> tuple[float, float] | None:
    """Return the two scores in the first line of a reply; None where that holds anything else."""
    match = _PAIR.fullmatch(reply.strip().partition("\n")[0])
    return _checked(match.groups()) if match else None


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if not path.is_file():
        raise PathPluginsError(f"--reviews {path}: no such file{near_path(path)}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise PathPluginsError(f"--reviews {path}:{number} is not JSON ({error}); expected {_EXPECTED}") from error
        if not isinstance(row, dict) or not {"tuple", "score", "content"} & row.keys():
            raise PathPluginsError(f"--reviews {path}:{number} holds no scores; expected {_EXPECTED}")
        yield row


def _pair(row: Mapping[str, Any]) -> tuple[float, float] | None:
    for key in ("tuple", "score"):
        if key in row:
            return _checked(row[key])
    return pair_in(str(row["content"]))


def _checked(values: Any) -> tuple[float, float] | None:
    try:
        first, second = map(float, values)
    except (TypeError, ValueError):
        return None
    return (first, second) if all(math.isfinite(value) and value >= 0 for value in (first, second)) else None


def _summed(pairs: list[tuple[float, float] | None]) -> dict[str, Any]:
    good = np.array([pair for pair in pairs if pair is not None], float).reshape(-1, 2)
    scores: dict[str, Any] = {}
    if len(good):
        first, second = good.T
        if first.any():
            whole = _relative(first, second, 0.0)
            scores["gpt_relative"] = measure(lambda at: _relative(first[at], second[at], whole), len(good))
        scores["gpt_first"] = measure(lambda at: float(first[at].mean()), len(good))
        scores["gpt_second"] = measure(lambda at: float(second[at].mean()), len(good))
    return {**scores, "gpt_unreadable": len(pairs) - len(good)}


def _relative(first: np.ndarray, second: np.ndarray, otherwise: float) -> float:
    """Return 100 mean(second) / mean(first), or ``otherwise`` for a resample in which all first scores are 0."""
    return float(100 * second.mean() / first.mean()) if first.any() else otherwise
