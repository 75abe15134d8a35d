"""``pathplugins explain``: draw where a model looked on a slide or image while it said an answer."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from pathplugins.commands.answering import answer, open_file
from pathplugins.commands.ask import add_file_options, add_model_options
from pathplugins.commands.asked_file import asked_file, given_file
from pathplugins.commands.explaining import explain
from pathplugins.commands.explanation_files import ExplanationFiles
from pathplugins.commands.loading import load_model, load_processor, reads_of
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.prompting import conversation
from pathplugins.commands.quick_start import start_quickly
from pathplugins.commands.sampling import sampling_of
from pathplugins.commands.selection import locate
from pathplugins.commands.slide_bags import refuse_idle, slide_options_of
from pathplugins.core.errors import PathPluginsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    add_file_options(parser)
    parser.add_argument("--question", required=True, metavar="TEXT", help="what the model is asked")
    parser.add_argument("--answer", metavar="TEXT", help="look into this answer; the model's own unless given")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for pictures and numbers")
    parser.add_argument("--draw-on", type=Path, metavar="SLIDE", help="slide of a --bag; a blank canvas without")
    parser.add_argument("--words", action="store_true", help="a picture, and a measurement in QuPath, for each word")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Check what was given, ask, look into the answer, and print what was written."""
    sampling, slides = sampling_of(args), slide_options_of(args)
    _check(args)
    start_quickly()
    folder, other = model_directory(args.model), args.allow_other_encoder
    processor: Any = load_processor(folder, allow_other_encoder=other)
    given = given_file(reads_of(processor), args.model, bag=args.bag, image=args.image, slide=args.slide)
    refuse_idle(slides, given.option)
    if args.draw_on is not None and (given.option == "--slide" or reads_of(processor) == "images"):
        raise PathPluginsError(f"--draw-on is the slide of a --bag; {given.option} is drawn on itself: leave it out")
    prompt = conversation(processor.tokenizer, args.question, system=args.system)
    file = asked_file(given, processor, slides, device=args.device)
    slide = file.given if given.option == "--slide" else args.draw_on
    if reads_of(processor) == "bags":
        locate(file.path, slide)
    model = load_model(folder, adapter=args.adapter, device=args.device, allow_other_encoder=other)
    opened = open_file(model, file.path)
    told = answer(model, opened, prompt, sampling) if args.answer is None else args.answer.strip()
    explanation = explain(model, opened, prompt, told, slide=slide)
    files = ExplanationFiles(model, file.path, explanation, question=args.question, answer=told, slide=slide)
    sys.stdout.write(f"{told}\n")
    for path in _written(files, args.out, explanation.words if args.words else []):
        sys.stderr.write(f"{path}\n")
    return 0


def _written(files: ExplanationFiles, out: Path, words: list[str]) -> list[Path]:
    """Write the files, of each of ``words`` a picture too; returns their paths."""
    paths = [out / name for name in ("answer.png", "answer.geojson", "answer.json")]
    files.picture(paths[0])
    files.geojson(paths[1], words=bool(words))
    files.json(paths[2])
    if files.selector_picture(out / "selector.png"):
        paths.append(out / "selector.png")
    for index, word in enumerate(words):
        letters = re.sub(r"[^\w-]+", "", word)[:40]
        paths.append(out / f"word_{index + 1:03d}_{letters}.png")
        files.picture_of_word(paths[-1], index)
    return paths


def _check(args: argparse.Namespace) -> None:
    for option in ("question", "answer"):
        if (text := getattr(args, option)) is not None and not text.strip():
            raise PathPluginsError(f"--{option} is empty; give some text")
    if args.answer is not None and (args.temperature or args.num_beams is not None):
        raise PathPluginsError("--answer is given, so none is generated: leave out --temperature and --num-beams")
    if args.out.exists() and not args.out.is_dir():
        raise PathPluginsError(f"--out {args.out} is a file; name a folder")
