"""``pathplugins evaluate``: ask a trained model every question of a test set and score the answers."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from pathplugins.commands import evaluation_options
from pathplugins.commands.ask import answers
from pathplugins.commands.evaluation_options import EvaluationOptions
from pathplugins.commands.loading import load_model
from pathplugins.commands.predictions import append, gather
from pathplugins.commands.questions import Prepared, Question, prepare
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json
from pathplugins.data.scoring.tables import table, table_by
from pathplugins.data.scoring.tasks import score, score_groups
from pathplugins.data.scoring.terms import Terms
from pathplugins.published.suites import SUITES

_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    evaluation_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check everything, ask what is not yet answered, score; under torchrun each process asks its share."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    options = EvaluationOptions.of(args)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        import torch.distributed as dist

        dist.init_process_group("gloo", timeout=timedelta(days=7))  # shares may take very different times
    terms = options.clinical_terms()
    shared: list[Any] = [_prepared(options)] if rank == 0 else [None]
    if world > 1:
        dist.broadcast_object_list(shared)  # the checks ran once, and all ranks cut the same list
    prepared: Prepared = shared[0]
    _ask(options, prepared.open[rank::world], rank, world)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    if rank == 0:
        _report(options, prepared, terms)
    return 0


def _prepared(options: EvaluationOptions) -> Prepared:
    return prepare(options.model, options.adapter, options.test, options.out, options.settings())


def _ask(options: EvaluationOptions, questions: Sequence[Question], rank: int, world: int) -> None:
    """Answer the questions batch by batch, each batch on disk before the next."""
    if not questions:
        return
    device = options.device
    if device == "auto" and world > 1:
        import torch

        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    model = load_model(
        options.model,
        adapter=options.adapter,
        device=device,
        dtype=options.dtype,
        bits=options.bits,
        allow_other_encoder=options.test.allow_other_encoder,
    )
    began = said_at = time.monotonic()
    at_once = 1 if options.temperature else options.batch_size  # draws of a question must not depend on its batch
    for start in range(0, len(questions), at_once):
        batch = questions[start : start + at_once]
        how = {**options.generation(), "seed": options.seed_of(batch[0].line["id"])}
        told = answers(model, [q.prompt for q in batch], [q.images for q in batch], options.max_new_tokens, **how)
        lines = [{**question.line, "prediction": text} for question, text in zip(batch, told, strict=True)]
        append(options.out, lines, rank=rank, world=world)
        done, now = start + len(batch), time.monotonic()
        if rank == 0 and (now - said_at > _PROGRESS_S or done == len(questions)):
            left = timedelta(seconds=round((now - began) / done * (len(questions) - done)))
            share = f" (this process's share of {world})" if world > 1 else ""
            logger.info("%d of %d questions answered%s, %s left", done, len(questions), share, left)
            said_at = now


def _report(options: EvaluationOptions, prepared: Prepared, terms: Terms | None) -> None:
    """Score what is on disk, write ``metrics.json``, print the numbers."""
    lines = [*gather(options.out, prepared.ids).values()]
    if len(lines) < len(prepared.ids):
        raise PathPluginsError(
            f"{options.out}: {len(prepared.ids) - len(lines)} answers are missing; run the command again"
        )
    task = options.test.task
    scores = score(task, lines, labels=prepared.labels, terms=terms)
    by = {
        field: score_groups(task, lines, groups, labels=prepared.labels, terms=terms)
        for field, groups in prepared.groups.items()
    }
    suite = SUITES.get(options.suite or "")
    if suite and suite.questions and not options.test.limit and len(lines) != suite.questions:
        said = "%s: published numbers are of %d questions, these are of %d"
        logger.warning(said, suite.name, suite.questions, len(lines))
    versions = {name: version(name) for name in ("pathplugins", "torch", "transformers")}
    told = {
        "task": task,
        "suite": options.suite,
        "questions": len(lines),
        "left_out": prepared.left_out,
        "metrics": scores,
        "by": by,
    }
    write_json(options.out / "metrics.json", {**told, "settings": prepared.settings, "versions": versions})
    tables = [table(scores), *(table_by(field, groups) for field, groups in by.items())]
    sys.stdout.write("\n\n".join(tables))
    sys.stdout.write(f"\n{options.out / 'metrics.json'}\n")
