"""Options of the commands that ask a model every question of a test set: `evaluate` and what stands on it."""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pathplugins.commands.loading import add_encoder_option
from pathplugins.commands.questions import QuestionSet
from pathplugins.commands.suite_files import suite_files
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import require
from pathplugins.data.formats import FORMATS
from pathplugins.data.scoring.reports import EXTRA, MODULES
from pathplugins.data.scoring.tasks import TASKS
from pathplugins.data.scoring.terms import Terms, read_terms
from pathplugins.published.suites import SUITES

MAX_NEW_TOKENS = 128
FORMAT = "llava"
_SEEDS = 2**32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What a command was asked to do."""

    model: str
    adapter: str | None
    test: QuestionSet
    suite: str | None
    out: Path
    device: str
    dtype: str
    bits: Literal[4, 8] | None
    batch_size: int
    max_new_tokens: int
    terms: Path | None
    """List of clinical terms, for reports; None is the one of the package."""
    temperature: float | None
    """Draw each token at this temperature; None takes the likeliest."""
    num_beams: int | None
    seed: int | None
    """Of the draws, which are seeded for each question by itself."""
    system: str | None
    """System prompt in place of the template's or ours."""

    def __post_init__(self) -> None:
        numbers = {"limit": self.test.limit, "batch-size": self.batch_size, "max-new-tokens": self.max_new_tokens}
        numbers["num-beams"] = self.num_beams
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise PathPluginsError(f"--{name} is {number}, expected 1 or more")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise PathPluginsError(f"--temperature is {self.temperature}, expected above 0; leave it out for no draws")
        if self.seed is not None and self.temperature is None:
            raise PathPluginsError("--seed is of draws, and nothing is drawn without --temperature; add it")
        if self.seed is not None and not 0 <= self.seed < _SEEDS:
            raise PathPluginsError(f"--seed is {self.seed}, expected 0 to {_SEEDS - 1}")
        if self.system is not None and not self.system.strip():
            raise PathPluginsError("--system is empty; leave it out for the system prompt of the training")
        if self.terms is not None and self.test.task != "report":
            raise PathPluginsError(f"--terms belongs to --task report, not to --task {self.test.task}; leave it out")

    @classmethod
    def of(cls, args: argparse.Namespace) -> EvaluationOptions:
        """Take them from the command line."""
        test, longest = _of_suite(args) if args.suite else _of_options(args)
        own = ("model", "adapter", "suite", "out", "device", "dtype", "bits", "batch_size", "terms")
        own += ("temperature", "num_beams", "seed", "system")
        given = {name: getattr(args, name) for name in own}
        return cls(test=test, max_new_tokens=_first(args.max_new_tokens, longest, MAX_NEW_TOKENS), **given)

    def settings(self) -> dict[str, Any]:
        """Return what decides the answers beside the model and the questions."""
        names = ("max_new_tokens", "dtype", "bits", "temperature", "num_beams", "seed", "system")
        return {name: getattr(self, name) for name in names}

    def generation(self) -> dict[str, Any]:
        """Return how `answers` is to find the words of greedy answers and beams; see `seed_of` for draws."""
        return {"temperature": self.temperature, "num_beams": self.num_beams}

    def seed_of(self, name: str) -> int | None:
        """Return the seed of a question by its id: other questions, batches and processes change no answer."""
        if self.temperature is None:
            return None
        return int.from_bytes(hashlib.sha256(f"{self.seed or 0} {name}".encode()).digest()[:4], "big")

    def clinical_terms(self) -> Terms | None:
        """Return the clinical terms of reports, with all that scores them there before the first question."""
        if self.test.task != "report":
            return None
        require(*MODULES, extra=EXTRA)
        return read_terms(self.terms)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="questions and right answers")
    parser.add_argument(
        "--suite", choices=SUITES, metavar="NAME", help=f"published test set, format and scores: {', '.join(SUITES)}"
    )
    parser.add_argument("--format", choices=[*FORMATS], metavar="NAME", help=f"default {FORMAT}; {', '.join(FORMATS)}")
    parser.add_argument("--image-folder", type=Path, metavar="DIR", help="folder that relative images are relative to")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the format; repeatable")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="predictions.jsonl and metrics.json")
    tasks = "; ".join(f"{name}: {text}" for name, text in TASKS.items())
    parser.add_argument("--task", choices=TASKS, help=tasks)
    parser.add_argument("--by", action="append", default=[], metavar="FIELD", help="scores per value; repeatable")
    parser.add_argument("--terms", type=Path, metavar="FILE", help="clinical terms of reports, one a line")
    parser.add_argument("--limit", type=int, metavar="N", help="ask N questions, evenly drawn from all")
    parser.add_argument("--on-bad-sample", default="error", choices=("error", "skip"), help="default %(default)s")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16"))
    parser.add_argument("--bits", type=int, choices=(4, 8), help="quantize the language model by bitsandbytes (GPU)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="questions at once; default %(default)s")
    parser.add_argument(
        "--max-new-tokens", type=int, metavar="N", help=f"length of an answer, at most; default {MAX_NEW_TOKENS}"
    )
    parser.add_argument("--temperature", type=float, metavar="T", help="draw each token; without it the likeliest")
    parser.add_argument("--seed", type=int, metavar="N", help="of the draws; default 0")
    parser.add_argument("--num-beams", type=int, metavar="N", help="follow N beams; default 1")
    parser.add_argument("--system", metavar="TEXT", help="system prompt, instead of that of the training")
    add_encoder_option(parser)


def _of_options(args: argparse.Namespace) -> tuple[QuestionSet, int | None]:
    if args.task is None:
        raise PathPluginsError(f"--task is needed: {', '.join(TASKS)}; or name a published test set with --suite")
    return _question_set(args, format=args.format or FORMAT, task=args.task), None


def _of_suite(args: argparse.Namespace) -> tuple[QuestionSet, int | None]:
    suite = SUITES[args.suite]
    for name in ("format", "task"):
        if getattr(args, name) is not None:
            raise PathPluginsError(
                f"--suite {suite.name} sets --{name} {getattr(suite, name)}; leave --{name} out, or --suite"
            )
    files = suite_files(suite, args.data)
    if files.data != args.data:
        logger.info("%s: the questions are %s", suite.name, files.data)
    chosen = _question_set(args, format=suite.format, task=suite.task)
    options = (*(f"{name}={_json(value)}" for name, value in suite.options.items()), *args.option)
    chosen = chosen._replace(data=files.data, format_options=options, wanted_by=suite.by)
    if args.image_folder is None:
        chosen = chosen._replace(image_folder=files.images)
    return chosen, suite.max_new_tokens


def _question_set(args: argparse.Namespace, *, format: str, task: Any) -> QuestionSet:
    return QuestionSet(
        data=args.data,
        format=format,
        image_folder=args.image_folder,
        format_options=tuple(args.option),
        limit=args.limit,
        on_bad_sample=args.on_bad_sample,
        task=task,
        allow_other_encoder=args.allow_other_encoder,
        by=tuple(dict.fromkeys(args.by)),
    )


def _json(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
