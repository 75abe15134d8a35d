"""``pathplugins evaluate``: ask a trained model every question of a test set and score the answers."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pathplugins.commands.ask import answers
from pathplugins.commands.loading import add_encoder_option, load_model
from pathplugins.commands.predictions import append, gather
from pathplugins.commands.questions import Prepared, Question, QuestionSet, prepare
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json
from pathplugins.core.optional import require
from pathplugins.data.formats import FORMATS
from pathplugins.data.scoring.reports import EXTRA, MODULES
from pathplugins.data.scoring.tables import table, table_by
from pathplugins.data.scoring.tasks import TASKS, score, score_groups
from pathplugins.data.scoring.terms import Terms, read_terms

_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What the command was asked to do."""

    model: str
    adapter: str | None
    test: QuestionSet
    out: Path
    device: str
    dtype: str
    bits: Literal[4, 8] | None
    batch_size: int
    max_new_tokens: int
    terms: Path | None
    """List of clinical terms, for reports; None is the one of the package."""

    def __post_init__(self) -> None:
        numbers = {"limit": self.test.limit, "batch-size": self.batch_size, "max-new-tokens": self.max_new_tokens}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise PathPluginsError(f"--{name} is {number}, expected 1 or more")
        if self.terms is not None and self.test.task != "report":
            raise PathPluginsError(f"--terms belongs to --task report, not to --task {self.test.task}; leave it out")

    @classmethod
    def of(cls, args: argparse.Namespace) -> EvaluateOptions:
        """Take them from the command line."""
        own = ("model", "adapter", "out", "device", "dtype", "bits", "batch_size", "max_new_tokens", "terms")
        test = QuestionSet(
            data=args.data,
            format=args.format,
            image_folder=args.image_folder,
            format_options=tuple(args.option),
            limit=args.limit,
            on_bad_sample=args.on_bad_sample,
            task=args.task,
            allow_other_encoder=args.allow_other_encoder,
            by=tuple(dict.fromkeys(args.by)),
        )
        return cls(test=test, **{name: getattr(args, name) for name in own})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="questions and right answers")
    parser.add_argument("--format", default="llava", choices=[*FORMATS], metavar="NAME", help=", ".join(FORMATS))
    parser.add_argument("--image-folder", type=Path, metavar="DIR", help="folder that relative images are relative to")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the format; repeatable")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="predictions.jsonl and metrics.json")
    tasks = "; ".join(f"{name}: {text}" for name, text in TASKS.items())
    parser.add_argument("--task", required=True, choices=TASKS, help=tasks)
    parser.add_argument("--by", action="append", default=[], metavar="FIELD", help="scores per value; repeatable")
    parser.add_argument("--terms", type=Path, metavar="FILE", help="clinical terms of reports, one a line")
    parser.add_argument("--limit", type=int, metavar="N", help="ask N questions, evenly drawn from all")
    parser.add_argument("--on-bad-sample", default="error", choices=("error", "skip"), help="default %(default)s")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16"))
    parser.add_argument("--bits", type=int, choices=(4, 8), help="quantize the language model by bitsandbytes (GPU)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="questions at once; default %(default)s")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="length of an answer, at most")
    add_encoder_option(parser)


def run(args: argparse.Namespace) -> int:
    """Check everything, ask what is not yet answered, score; under torchrun each process asks its share."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    options = EvaluateOptions.of(args)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        import torch.distributed as dist

        dist.init_process_group("gloo", timeout=timedelta(days=7))  # shares may take very different times
    terms = _terms(options)
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


def _terms(options: EvaluateOptions) -> Terms | None:
    """Return the clinical terms of reports, with all that scores them there before the first question."""
    if options.test.task != "report":
        return None
    require(*MODULES, extra=EXTRA)
    return read_terms(options.terms)


def _prepared(options: EvaluateOptions) -> Prepared:
    settings = {name: getattr(options, name) for name in ("max_new_tokens", "dtype", "bits")}
    return prepare(options.model, options.adapter, options.test, options.out, settings)


def _ask(options: EvaluateOptions, questions: Sequence[Question], rank: int, world: int) -> None:
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
    for start in range(0, len(questions), options.batch_size):
        batch = questions[start : start + options.batch_size]
        told = answers(model, [q.prompt for q in batch], [q.images for q in batch], options.max_new_tokens)
        lines = [{**question.line, "prediction": text} for question, text in zip(batch, told, strict=True)]
        append(options.out, lines, rank=rank, world=world)
        done, now = start + len(batch), time.monotonic()
        if rank == 0 and (now - said_at > _PROGRESS_S or done == len(questions)):
            left = timedelta(seconds=round((now - began) / done * (len(questions) - done)))
            share = f" (this process's share of {world})" if world > 1 else ""
            logger.info("%d of %d questions answered%s, %s left", done, len(questions), share, left)
            said_at = now


def _report(options: EvaluateOptions, prepared: Prepared, terms: Terms | None) -> None:
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
    versions = {name: version(name) for name in ("pathplugins", "torch", "transformers")}
    told = {"task": task, "questions": len(lines), "left_out": prepared.left_out, "metrics": scores, "by": by}
    write_json(options.out / "metrics.json", {**told, "settings": prepared.settings, "versions": versions})
    tables = [table(scores), *(table_by(field, groups) for field, groups in by.items())]
    sys.stdout.write("\n\n".join(tables))
    sys.stdout.write(f"\n{options.out / 'metrics.json'}\n")
