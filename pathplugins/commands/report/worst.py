"""Worst cases: questions that runs answer worst, with a small picture of what was asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.classify.scoring.shown import Picture, picture
from pathplugins.commands.report.results import Run
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.data.images import DAMAGE, open_image
from pathplugins.data.scoring.judged import GRADE
from pathplugins.data.scoring.rubric import BEST

_SIDE = 160  #: longer side of a small picture, pixels
_WORDS = 600  #: letters of what a judge says
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class BadAnswer:
    """One question, what was wanted and what the runs say."""

    name: str
    question: str
    answer: str
    said: Mapping[str, str]
    """Run -> its prediction."""
    judged: Mapping[str, str]
    """Run -> what its judge said of it."""
    value: float
    """Mean over the runs of the value of the question."""
    pictures: Sequence[Picture]
    notes: Sequence[str]
    """In place of pictures that cannot be shown."""


def worst_cases(runs: Sequence[Run], limit: int) -> list[BadAnswer]:
    """Return the worst answered questions of the first run and those that were asked the same, the worst first.

    Args:
        runs: in the order of the report.
        limit: how many, at most. Questions that all runs answer right are left out.
    """
    if not runs:
        return []
    alike = [run for run in runs if run.told["task"] == runs[0].told["task"] and run.asked == runs[0].asked]
    values = np.mean([run.values for run in alike], axis=0)  # [N]
    order = [index for index in np.argsort(values, kind="stable") if values[index] < 1][:limit]
    return [_case(alike, index, float(values[index])) for index in order]


def _case(runs: Sequence[Run], index: int, value: float) -> BadAnswer:
    line, pictures, notes = runs[0].lines[index], [], []
    for image in line.get("images", ()):
        shown = _small(Path(image))
        (notes if isinstance(shown, str) else pictures).append(shown)
    return BadAnswer(
        name=line["id"],
        question=line["question"],
        answer=line["answer"],
        said={run.name: run.lines[index]["prediction"] for run in runs},
        judged={run.name: _judged(run.judgements[line["id"]]) for run in runs if line["id"] in run.judgements},
        value=value,
        pictures=pictures,
        notes=notes,
    )


def _judged(row: Mapping[str, Any]) -> str:
    grade = f"{row[GRADE]} of {BEST}" if isinstance(row[GRADE], int) else row[GRADE]
    said = row.get("reply") or row.get("error") or ""
    return f"{grade}: {said[:_WORDS]}{' ...' if len(said) > _WORDS else ''}"


def _small(path: Path) -> Picture | str:
    """Return a small picture of a file, or the words that stand for it."""
    if not is_file(path):
        return f"{path} is no longer there"
    with path.open("rb") as stream:
        if stream.read(len(_HDF5)) == _HDF5:
            return f"{path.name}, a feature bag"
    try:
        image = open_image(path)
        image.thumbnail((_SIDE, _SIDE))
    except (PathPluginsError, *DAMAGE) as error:
        return f"{path.name} cannot be shown: {error}"
    return picture(np.asarray(image.convert("RGB")), alt=path.name)
