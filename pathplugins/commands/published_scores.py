"""Scores of a publication beside ours: `evaluate --as-published`, and the reviews of a GPT that belong to them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.commands.categories import ANSWER_TYPE
from pathplugins.commands.predictions import Line
from pathplugins.commands.questions import QuestionSet
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.as_published import PUBLISHED, REVIEWS, check_published, score_as_published
from pathplugins.data.scoring.tables import table
from pathplugins.data.scoring.tasks import Task


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """Which scores to compute beside ours."""

    name: str
    """Publication."""
    reviews: Mapping[str, Mapping[str, Any]]
    """Category -> scores of the reviews of a GPT."""

    @classmethod
    def of(cls, args: argparse.Namespace, task: Task) -> PublishedScores | None:
        """Take them from the command line, reviews read; None where none are asked for.

        Raises:
            PathPluginsError: the publication has no scores for the task, or the reviews cannot be read.
        """
        if args.as_published is None:
            if args.reviews is not None:
                raise PathPluginsError(f"--reviews belongs to --as-published {'|'.join(PUBLISHED)}; give both")
            return None
        check_published(args.as_published, task)
        if args.as_published == "wsi-llava" and args.reviews is None:
            raise PathPluginsError("--as-published wsi-llava sums up what its judge wrote; give --reviews FILE")
        read = REVIEWS[args.as_published]
        return cls(name=args.as_published, reviews=read(args.reviews) if args.reviews else {})

    def needed(self, test: QuestionSet) -> QuestionSet:
        """Return the test set with the field that tells open from closed questions, where they are scored apart."""
        if test.task != "vqa":
            return test
        return test._replace(wanted_by=tuple(dict.fromkeys((*test.wanted_by, ANSWER_TYPE))))

    def told(self, task: Task, lines: Sequence[Line], groups: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        """Return what ``metrics.json`` keeps of them."""
        metrics = score_as_published(self.name, task, lines, groups.get(ANSWER_TYPE, {}))
        return {"by": self.name, "metrics": metrics, "reviews": dict(self.reviews)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("scores of a publication, beside ours")
    group.add_argument(
        "--as-published", choices=PUBLISHED, metavar="NAME", help=f"computed as it does: {', '.join(PUBLISHED)}"
    )
    group.add_argument(
        "--reviews",
        type=Path,
        metavar="FILE",
        help="reviews of a GPT to sum up: JSON lines; of wsi-llava evaluation_results.json",
    )


def tables(told: Mapping[str, Any]) -> list[str]:
    """Return the scores as texts to print, labelled as what they are."""
    shown = [f"as published by {told['by']} (other formulas than above)\n{table(told['metrics'])}"]
    shown = shown if told["metrics"] else []
    by = "" if shown else f", summed up as by {told['by']}"
    return shown + [f"reviews of a GPT: {name}{by}\n{table(scores)}" for name, scores in told["reviews"].items()]
