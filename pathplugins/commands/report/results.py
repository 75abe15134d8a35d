"""Read the folders that `evaluate` and `ablate` leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.commands.ablate import ABLATION
from pathplugins.commands.blinding import REAL
from pathplugins.commands.evaluate import METRICS
from pathplugins.commands.judging import JUDGEMENTS
from pathplugins.commands.predictions import Line, read_lines, read_rows
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.nearest import near_path
from pathplugins.data.scoring.paired import per_question


@dataclass(frozen=True)
class Run:
    """A run of `evaluate`."""

    name: str
    told: Mapping[str, Any]
    """``metrics.json``."""
    lines: list[Line]
    judgements: Mapping[str, Line]
    """Id -> line of ``judgements.jsonl``, where a judge was asked."""

    @cached_property
    def values(self) -> np.ndarray:
        """Value of each question, float64 [N]; see `per_question`."""
        return per_question(self.told["task"], self.lines, [*self.told["metrics"].get("classes", ())])

    @cached_property
    def asked(self) -> list[tuple[str, str, str]]:
        """Id, words and right answer of each question, which runs to be compared have in common."""
        return [(line["id"], line["question"], line["answer"]) for line in self.lines]


@dataclass(frozen=True)
class Ablation:
    """A run of `ablate`."""

    name: str
    told: Mapping[str, Any]
    """``ablation.json``."""
    real: Run


def read_results(folder: Path) -> Run | Ablation:
    """Read a folder of results.

    Raises:
        PathPluginsError: it is none, or what it holds was not finished.
    """
    if not folder.is_dir():
        raise PathPluginsError(f"{folder}: no such folder; name the --out of evaluate or ablate{near_path(folder)}")
    if (folder / ABLATION).is_file():
        told = read_json(folder / ABLATION)
        if not {"task", "measure", "questions", "conditions"} <= {*told}:
            raise PathPluginsError(f"{folder / ABLATION} is not of pathplugins ablate; name another folder")
        return Ablation(str(folder), told, _run(folder / REAL))
    if not (folder / METRICS).is_file():
        raise PathPluginsError(
            f"{folder} holds neither {METRICS} of evaluate nor {ABLATION} of ablate; run the command that made it to "
            "its end, or name another folder"
        )
    return _run(folder)


def _run(folder: Path) -> Run:
    told, lines = read_json(folder / METRICS), read_lines(folder)
    if not {"task", "metrics", "questions"} <= {*told}:
        raise PathPluginsError(f"{folder / METRICS} is not of pathplugins evaluate; name another folder")
    if len(lines) != told["questions"]:
        raise PathPluginsError(
            f"{folder}: {METRICS} is about {told['questions']} questions and {len(lines)} are answered; run the "
            "command that made it again"
        )
    rows = read_rows(folder / JUDGEMENTS) if "judge" in told else []
    return Run(str(folder), told, lines, {row["id"]: row for row in rows})
