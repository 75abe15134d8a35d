"""``pathplugins ask``: put questions about a slide, image or feature bag, or those of a case, to a trained model."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pathplugins.commands.answering import answer, open_file
from pathplugins.commands.asked_file import AskedFile, OneOrMore, asked_file, given_files
from pathplugins.commands.loading import LoadedModel, add_encoder_option, load_model, load_processor, reads_of
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.prompting import conversation
from pathplugins.commands.quick_start import start_quickly
from pathplugins.commands.sampling import MAX_NEW_TOKENS, Sampling, add_sampling_options, sampling_of
from pathplugins.commands.slide_bags import add_slide_options, refuse_idle, slide_options_of
from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.slide_options import SlideOptions

GREEDY = Sampling()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    add_file_options(parser, several=True)
    parser.add_argument("--question", required=True, action="append", metavar="TEXT", help="may be given several times")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each answer")
    add_model_options(parser)


def add_file_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options that name what is asked about, of which one may be given; ``several`` times for a case."""
    file, how = parser.add_mutually_exclusive_group(), {"type": Path, "metavar": "FILE"}
    more = "; again for each further one of the case" if several else ""
    if several:
        how["action"] = "append"
    file.add_argument("--slide", **how, help=f"slide; its features are made and kept{more}")
    file.add_argument("--image", **how, help=f"image, or H5 feature bag of a slide{more}")
    file.add_argument("--bag", **how, help=f"H5 feature bag of a slide{more}")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a model is loaded and how it answers."""
    parser.add_argument("--system", metavar="TEXT", help="system prompt, instead of the model's own")
    add_sampling_options(parser)
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    add_encoder_option(parser)
    add_slide_options(parser)


def run(args: argparse.Namespace) -> int:
    """Check what was given, load the model, print its answers."""
    sampling, slides = sampling_of(args), slide_options_of(args)
    _check_questions(args.question)
    start_quickly()
    folder, other = model_directory(args.model), args.allow_other_encoder
    processor: Any = load_processor(folder, allow_other_encoder=other)
    given = given_files(reads_of(processor), args.model, bag=args.bag, image=args.image, slide=args.slide)
    refuse_idle(slides, given[0].option)
    conversation(processor.tokenizer, args.question[0], system=args.system)
    files = [asked_file(each, processor, slides, device=args.device) for each in given]
    processor.sample_tokens([file.path for file in files])  # refuses more slides than the model takes
    model = load_model(folder, adapter=args.adapter, device=args.device, allow_other_encoder=other)
    for question, told, seconds in _answered(model, args.question, files, sampling, args.system):
        if args.json:
            _write_line(question, told, files, args.model, seconds)
        else:
            sys.stdout.write(f"> {question}\n{told}\n" if len(args.question) > 1 else f"{told}\n")
        sys.stdout.flush()
    return 0


def ask(
    model: LoadedModel,
    question: str,
    *,
    bag: OneOrMore = None,
    image: OneOrMore = None,
    slide: OneOrMore = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = 0.0,
    num_beams: int | None = None,
    seed: int | None = None,
    top_p: float | None = None,
    system: str | None = None,
    slide_options: SlideOptions | None = None,
    on_text: Callable[[str], None] | None = None,
) -> str:
    """Ask a model one question about a slide, bag or image, or about those of a case; the answer is the same each time.

    Args:
        model: of `load_model`.
        question: as a user would ask it; the image is put before it.
        bag: H5 feature bag of a slide, for a model that reads bags; a list of them for a case, here and below.
        image: image file, for a model that reads images (a bag is taken too where the model reads bags).
        slide: slide, for a model that reads bags; its bag is made with the model's patch encoder and kept
            (`pathplugins.commands.slide_bags`).
        max_new_tokens: length of the answer, at most.
        temperature: above 0, tokens are drawn at random, the more freely the higher.
        num_beams: beams of beam search.
        seed: of the draw, 0 when None.
        top_p: of the draw: only the likeliest tokens that together have this probability.
        system: system prompt, instead of the model's own.
        slide_options: weights of the patch encoder, and how the slide is cut.
        on_text: called with each piece of the answer as it is generated.

    Returns:
        The answer, without the tokens that end it and the blanks around it.

    Raises:
        PathPluginsError: none or several of ``bag``, ``image`` and ``slide``, or a file that the model cannot read.
    """
    drawn = {"temperature": temperature, "num_beams": num_beams, "seed": seed, "top_p": top_p}
    sampling = Sampling(max_new_tokens=max_new_tokens, **drawn)
    _check_questions([question])
    given = given_files(model.reads, model.name, bag=bag, image=image, slide=slide)
    options, device = slide_options or SlideOptions(), str(model.model.device)
    files = [asked_file(each, model.processor, options, device=device) for each in given]
    ((_, told, _),) = _answered(model, [question], files, sampling, system, on_text)
    return told


def answers(
    model: LoadedModel,
    prompts: Sequence[str],
    images: Sequence[Sequence[str | Path]],
    sampling: Sampling = GREEDY,
) -> list[str]:
    """Answer a batch of prompts (see `pathplugins.commands.prompting`), each as if it had been asked alone.

    Args:
        model: of `load_model`.
        prompts: with one ``<image>`` for each of their images.
        images: the bags or images of each prompt.
        sampling: length of the answers, and how their tokens are chosen. With a temperature an answer depends on the
            batch it is drawn in.
    """
    return answers_to(model, model.processor(prompts, images), sampling)


def answers_to(model: LoadedModel, inputs: Any, sampling: Sampling = GREEDY) -> list[str]:
    """Answer a batch whose inputs the model's processor has made; see `answers`."""
    tokenizer, inputs = model.processor.tokenizer, inputs.to(model.model.device)
    with sampling.seeded(model.model.device):
        output = model.model.generate(**inputs, **sampling.options(), pad_token_id=tokenizer.pad_token_id)
    new = output[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


def _answered(
    model: LoadedModel,
    questions: Sequence[str],
    files: Sequence[AskedFile],
    sampling: Sampling,
    system: str | None,
    on_text: Callable[[str], None] | None = None,
) -> Iterator[tuple[str, str, float]]:
    """Yield every question with its answer and the seconds it took; the files are read and encoded once."""
    tokenizer: Any = model.processor.tokenizer
    start, opened = time.monotonic(), open_file(model, *(file.path for file in files))
    for question in questions:
        text = conversation(tokenizer, question, system=system, images=len(files))
        told = answer(model, opened, text, sampling, on_text=on_text)
        yield question, told, time.monotonic() - start
        start = time.monotonic()


def _write_line(question: str, told: str, files: Sequence[AskedFile], model: str, seconds: float) -> None:
    named = {"file": str(files[0].given)} if len(files) == 1 else {"files": [str(file.given) for file in files]}
    line = {"question": question, "answer": told, **named, "model": model, "seconds": round(seconds, 3)}
    pictures = [str(file.picture) for file in files if file.picture is not None]
    if pictures:
        line["patches"] = pictures[0] if len(files) == 1 else pictures
    sys.stdout.write(f"{json.dumps(line, ensure_ascii=False)}\n")


def _check_questions(questions: Sequence[str]) -> None:
    if any(not question.strip() for question in questions):
        raise PathPluginsError("the question is empty; give some text with --question")
