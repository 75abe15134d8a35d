"""``pathplugins evaluate``: ask a trained model every question of a test set and score the answers."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pathplugins.commands import evaluation_options, judging, published_scores
from pathplugins.commands.evaluation_options import EvaluationOptions
from pathplugins.commands.judging import JudgeOptions, judged
from pathplugins.commands.predictions import Line
from pathplugins.commands.published_scores import PublishedScores
from pathplugins.commands.question_runs import answered, ask_share, load, processes, versions
from pathplugins.commands.questions import Prepared, prepare
from pathplugins.core.files import write_json
from pathplugins.data.scoring.tables import table, table_by
from pathplugins.data.scoring.tasks import score, score_groups
from pathplugins.data.scoring.terms import Terms
from pathplugins.published.suites import SUITES

METRICS = "metrics.json"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    evaluation_options.add_arguments(parser)
    published_scores.add_arguments(parser)
    judging.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check everything, ask what is not yet answered, score; under torchrun each process asks its share."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    options = EvaluationOptions.of(args)
    terms, judge = options.clinical_terms(), JudgeOptions.of(args, options.test.task)
    if judge:
        judge.check()
    published = PublishedScores.of(args, options.test.task)
    if published:
        options = replace(options, test=published.needed(options.test))
    with processes() as here:
        prepared: Prepared = here.shared(  # the checks run once, and all processes cut the same list
            lambda: prepare(options.model, options.adapter, options.test, options.out, options.settings())
        )
        if prepared.open[here.rank :: here.world]:
            ask_share(load(options, here), options, prepared.open, options.out, here)
    failed = False
    if here.rank == 0:
        lines = answered(options.out, prepared)
        if judge:
            lines = judged(judge, options.test.task, lines, options.out)
        told = write_scores(options, options.out, prepared, lines, terms, judge, published)
        failed = bool(told["metrics"].get("judge_failed"))
        tables = [table(told["metrics"]), *(table_by(field, groups) for field, groups in told["by"].items())]
        if published:
            tables += published_scores.tables(told["as_published"])
        text = "\n\n".join(tables)
        sys.stdout.write(f"{text}\n{options.out / METRICS}\n")
    return int(failed)


def write_scores(
    options: EvaluationOptions,
    out: Path,
    prepared: Prepared,
    lines: list[Line],
    terms: Terms | None,
    judge: JudgeOptions | None = None,
    published: PublishedScores | None = None,
) -> dict[str, Any]:
    """Score what was answered, write ``metrics.json`` and return what it holds."""
    task = options.test.task
    suite = SUITES.get(options.suite or "")
    if suite and suite.questions and not options.test.limit and len(lines) not in suite.questions:
        said = "%s: published numbers are of %s questions, these are of %d"
        logger.warning(said, suite.name, " or ".join(map(str, suite.questions)), len(lines))
    told = {
        "task": task,
        "suite": options.suite,
        "questions": len(lines),
        "left_out": prepared.left_out,
        "metrics": score(task, lines, labels=prepared.labels, terms=terms),
        "by": {
            field: score_groups(task, lines, groups, labels=prepared.labels, terms=terms)
            for field, groups in prepared.groups.items()
        },
        "settings": prepared.settings,
        "versions": versions(),
    }
    if published:
        told["as_published"] = published.told(task, lines, prepared.groups)
    if judge:
        told["judge"] = judge.told()
    write_json(out / METRICS, told)
    return told
