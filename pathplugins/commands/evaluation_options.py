"""Options of the commands that ask a model every question of a test set: `evaluate` and what stands on it."""

from __future__ import annotations

import argparse
import hashlib
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pathplugins.commands.loading import add_encoder_option
from pathplugins.commands.questions import QuestionSet
from pathplugins.commands.sampling import MAX_NEW_TOKENS, Sampling, add_sampling_options, sampling_of
from pathplugins.commands.suite_files import suite_files
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import require
from pathplugins.data.formats import FORMATS
from pathplugins.data.scoring.reports import EXTRA, MODULES
from pathplugins.data.scoring.tasks import TASKS
from pathplugins.data.scoring.terms import Terms, read_terms
from pathplugins.published.suites import SUITES

FORMAT = "llava"

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
    sampling: Sampling
    """Length of the answers, and how their tokens are chosen; draws are seeded for each question by itself."""
    terms: Path | None
    """List of clinical terms, for reports; None is the one of the package."""
    system: str | None
    """System prompt in place of the template's or ours."""
    choices: Literal["answer", "likelihood"] = "answer"
    """How a choice is made: read in the answer, or the one whose words are likeliest."""
    image_aspect_ratio: Literal["pad", "square"] | None = None
    """How an image becomes a square, in place of the model's own way."""

    def __post_init__(self) -> None:
        numbers = {"limit": self.test.limit, "batch-size": self.batch_size}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise PathPluginsError(f"--{name} is {number}, expected 1 or more")
        if self.terms is not None and self.test.task != "report":
            raise PathPluginsError(f"--terms belongs to --task report, not to --task {self.test.task}; leave it out")
        if self.choices == "likelihood":
            if self.test.task != "choices":
                raise PathPluginsError(
                    f"--choices likelihood belongs to --task choices, not to --task {self.test.task}; leave it out"
                )
            if self.sampling.temperature or self.sampling.num_beams not in (None, 1):
                raise PathPluginsError(
                    "--choices likelihood generates nothing: leave out --temperature and --num-beams"
                )

    @classmethod
    def of(cls, args: argparse.Namespace) -> EvaluationOptions:
        """Take them from the command line."""
        test, longest = _of_suite(args) if args.suite else _of_options(args)
        own = ("model", "adapter", "suite", "out", "device", "dtype", "bits", "batch_size", "terms", "choices")
        given = {name: getattr(args, name) for name in (*own, "system", "image_aspect_ratio")}
        args.max_new_tokens = _first(args.max_new_tokens, longest, MAX_NEW_TOKENS)
        return cls(test=test, sampling=sampling_of(args), **given)

    def settings(self) -> dict[str, Any]:
        """Return what decides the answers beside the model and the questions."""
        own = {name: getattr(self, name) for name in ("dtype", "bits", "system", "image_aspect_ratio")}
        chosen = {} if self.choices == "answer" else {"choices": self.choices}  # older runs say nothing of it
        return {**asdict(self.sampling), **own, **chosen}

    def sampling_for(self, name: str) -> Sampling:
        """Return how a question is answered, by its id: other questions, batches and processes change no draw."""
        if not self.sampling.temperature:
            return self.sampling
        drawn = hashlib.sha256(f"{self.sampling.seed or 0} {name}".encode()).digest()[:4]
        return replace(self.sampling, seed=int.from_bytes(drawn, "big"))

    def clinical_terms(self) -> Terms | None:
        """Return the clinical terms of reports, with all that scores them there before the first question."""
        if self.test.task != "report":
            return None
        terms = read_terms(self.terms)
        require(*MODULES, extra=EXTRA)
        return terms


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
    parser.add_argument(
        "--choices",
        choices=("answer", "likelihood"),
        default="answer",
        help="of --task choices: read the letter in an answer, or take the choice whose words are likeliest",
    )
    parser.add_argument("--by", action="append", default=[], metavar="FIELD", help="scores per value; repeatable")
    parser.add_argument("--terms", type=Path, metavar="FILE", help="clinical terms of reports, one a line")
    parser.add_argument("--limit", type=int, metavar="N", help="ask N questions, evenly drawn from all")
    parser.add_argument("--on-bad-sample", default="error", choices=("error", "skip"), help="default %(default)s")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16"))
    parser.add_argument("--bits", type=int, choices=(4, 8), help="quantize the language model by bitsandbytes (GPU)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="questions at once; default %(default)s")
    add_sampling_options(parser, max_new_tokens=None)
    parser.add_argument("--system", metavar="TEXT", help="system prompt, instead of that of the training")
    parser.add_argument(
        "--image-aspect-ratio",
        choices=("pad", "square"),
        help="of a model of one square an image: pad images, or cut out their middle, whatever it was trained with",
    )
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
