"""``pathplugins evaluate``: ask a trained model every question of a test set and score the answers."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.commands.ask import answers, load, load_processor, prompt
from pathplugins.commands.predictions import append, begin, gather
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json
from pathplugins.data.formats import FORMATS
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, apply_policy, check_images
from pathplugins.data.scoring.answers import options_in, parse_choice
from pathplugins.data.scoring.metrics import label_set, score_choices, score_labels, score_vqa, table

TASKS = {
    "vqa": "exact match, yes/no questions and others",
    "choices": "letter of the choice",
    "labels": "class of the image",
}
_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


class Question(NamedTuple):
    """What is asked, and the line its answer becomes part of."""

    prompt: str
    images: tuple[str, ...]
    line: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="questions and right answers")
    parser.add_argument("--format", default="llava", choices=[*FORMATS], metavar="NAME", help=", ".join(FORMATS))
    parser.add_argument("--image-folder", type=Path, metavar="DIR", help="what relative images are relative to")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the format; repeatable")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="predictions.jsonl and metrics.json")
    tasks = "; ".join(f"{name}: {text}" for name, text in TASKS.items())
    parser.add_argument("--task", required=True, choices=TASKS, help=tasks)
    parser.add_argument("--limit", type=int, metavar="N", help="ask N questions, evenly drawn from all")
    parser.add_argument("--on-bad-sample", default="error", choices=("error", "skip"), help="default %(default)s")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16"))
    parser.add_argument("--bits", type=int, choices=(4, 8), help="quantize the language model by bitsandbytes (GPU)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="questions at once; default %(default)s")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="length of an answer, at most")


def run(args: argparse.Namespace) -> int:
    """Check all, ask what is not yet answered, score; under torchrun each process asks its share."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    for name in ("limit", "batch_size", "max_new_tokens"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise PathPluginsError(f"--{name.replace('_', '-')} is {getattr(args, name)}, expected 1 or more")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        import torch.distributed as dist

        dist.init_process_group("gloo", timeout=timedelta(days=7))  # shares may take very different times
    plan: list[Any] = [_plan(args)] if rank == 0 else [None]
    if world > 1:
        dist.broadcast_object_list(plan)  # the checks ran once, and all ranks cut the same list
    _ask(args, plan[0]["open"][rank::world], rank, world)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    if rank == 0:
        _report(args, plan[0])
    return 0


def _plan(args: argparse.Namespace) -> dict[str, Any]:
    """What to ask and what is answered already, after everything was checked."""
    from transformers import AutoConfig

    processor = load_processor(args.model)
    config = AutoConfig.from_pretrained(args.model)
    records, labels, left_out = _checked(args, processor.image_processor, config.vision_config)
    questions = {}
    for record in records:
        asked, told = (turn.text for turn in record.conversations)
        place = {"id": record.id, "source": record.source, "row": record.row}
        line = {**place, "question": asked.replace(IMAGE_PLACEHOLDER, "").strip(), "answer": told}
        questions[record.id] = Question(prompt(processor.tokenizer, asked), record.images, line)
    settings = {
        "model": f"{args.model} ({_fingerprint(args.model) or getattr(config, '_commit_hash', None)})",
        "adapter": args.adapter and f"{args.adapter} ({_fingerprint(args.adapter)})",
        "data": f"{len(questions)} questions of {args.data} ({_digest([*questions.values()])})",
        **{name: getattr(args, name) for name in ("max_new_tokens", "dtype", "bits")},
    }
    done = begin(args.out, settings, [*questions])
    if done:
        logger.info("%s: going on after %d of %d answers", args.out, len(done), len(questions))
    return {
        "settings": settings,
        "ids": [*questions],
        "left_out": left_out,
        "labels": labels,
        "open": [question for name, question in questions.items() if name not in done],
    }


def _checked(
    args: argparse.Namespace, image_processor: Any, vision_config: Mapping[str, Any]
) -> tuple[list[Record], list[str], int]:
    """The records to ask about, every row and image checked; the labels; how many rows were left out."""
    from pathplugins.models.compose.cache import cache_dir
    from pathplugins.models.custom_llava.image_checks import image_check

    reader = FORMATS.get(args.format)
    everything, bad = reader(args.data, media_dir=args.image_folder, **_options(args.option, args.format, reader))
    asked = min(args.limit or len(everything), len(everything))
    records = [everything[n * len(everything) // asked] for n in range(asked)]
    bad += [fault for record in records if (fault := _fault(record, args.task))]
    check, rules = image_check(image_processor, vision_config)
    remembered = cache_dir() / "bag_checks" / f"{_digest(str(args.data.absolute()))}.json"
    bad += check_images(records, check, progress=True, cache=remembered, cache_key=rules)
    good = apply_policy(records, bad, on_bad_sample=args.on_bad_sample, report_path=args.out / "bad_samples.jsonl")
    labels = label_set([record.conversations[-1].text for record in everything]) if args.task == "labels" else []
    return good, labels, len({(sample.source, sample.row) for sample in bad})


def _options(given: Sequence[str], name: str, reader: Any) -> dict[str, Any]:
    """``NAME=VALUE`` for the reader of a format; values are JSON, else text."""
    takes = [option for option in inspect.signature(reader).parameters if option not in ("path", "media_dir")]
    options = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in takes:
            raise PathPluginsError(f"--option {text}: expected NAME=VALUE; {name} has the options {', '.join(takes)}")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def _fault(record: Record, task: str) -> BadSample | None:
    roles = [turn.role for turn in record.conversations]
    place = {"source": record.source, "row": record.row}
    if roles != ["user", "assistant"]:
        return BadSample(
            **place, reason="not one question", detail=f"{record.id}: roles are {roles}; expected one each"
        )
    asked, told = (turn.text for turn in record.conversations)
    if task == "choices" and parse_choice(told, options_in(asked)) is None:
        detail = f"{record.id}: {told!r} is none of the choices {options_in(asked)} that the question lists"
        return BadSample(**place, reason="answer not among choices", detail=detail)
    return None


def _ask(args: argparse.Namespace, questions: Sequence[Question], rank: int, world: int) -> None:
    """Answer them batch by batch, each batch on disk before the next."""
    if not questions:
        return
    device = args.device
    if device == "auto" and world > 1:
        import torch

        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    model, processor = load(args.model, adapter=args.adapter, device=device, dtype=args.dtype, bits=args.bits)
    began = said_at = time.monotonic()
    for start in range(0, len(questions), args.batch_size):
        batch = questions[start : start + args.batch_size]
        told = answers(model, processor, [q.prompt for q in batch], [q.images for q in batch], args.max_new_tokens)
        lines = [{**question.line, "prediction": text} for question, text in zip(batch, told, strict=True)]
        append(args.out, lines, rank=rank, world=world)
        done, now = start + len(batch), time.monotonic()
        if rank == 0 and (now - said_at > _PROGRESS_S or done == len(questions)):
            left = timedelta(seconds=round((now - began) / done * (len(questions) - done)))
            share = f" (this process's share of {world})" if world > 1 else ""
            logger.info("%d of %d questions answered%s, %s left", done, len(questions), share, left)
            said_at = now


def _report(args: argparse.Namespace, plan: Mapping[str, Any]) -> None:
    """Score what is on disk, write ``metrics.json``, print the numbers."""
    lines = [*gather(args.out, plan["ids"]).values()]
    if len(lines) < len(plan["ids"]):
        raise PathPluginsError(
            f"{args.out}: {len(plan['ids']) - len(lines)} answers are missing; run the command again"
        )
    questions, right, said = ([line[name] for line in lines] for name in ("question", "answer", "prediction"))
    if args.task == "vqa":
        scores = score_vqa(right, said)
    elif args.task == "choices":
        scores = score_choices(questions, right, said)
    else:
        scores = score_labels(plan["labels"], right, said)
    versions = {name: version(name) for name in ("pathplugins", "torch", "transformers")}
    told = {"task": args.task, "questions": len(lines), "left_out": plan["left_out"], "metrics": scores}
    write_json(args.out / "metrics.json", {**told, "settings": plan["settings"], "versions": versions})
    sys.stdout.write(f"{table(scores)}\n{args.out / 'metrics.json'}\n")


def _fingerprint(model: str) -> str:
    """Of names, sizes and times of a directory's weights and settings; of a hub id, nothing."""
    files = sorted(p for p in Path(model).glob("*") if p.suffix in (".safetensors", ".bin", ".json", ".jinja"))
    return _digest([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files]) if files else ""


def _digest(value: Any) -> str:
    from pathplugins.models.compose.spec import digest

    return digest(value)
