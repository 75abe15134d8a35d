"""``pathplugins ask``: put a question about one image or feature bag to a trained model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathplugins.commands.loading import LoadedModel, Reads, add_encoder_option, load_model, load_processor, reads_of
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.prompting import conversation
from pathplugins.commands.vision_input import check_vision_input
from pathplugins.core.errors import PathPluginsError

MAX_NEW_TOKENS = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    image = parser.add_mutually_exclusive_group()
    image.add_argument("--image", type=Path, metavar="FILE", help="image, or H5 feature bag of a slide")
    image.add_argument("--bag", type=Path, metavar="FILE", help="H5 feature bag of a slide")
    parser.add_argument("--question", required=True, metavar="TEXT")
    parser.add_argument(
        "--max-new-tokens", type=int, default=MAX_NEW_TOKENS, metavar="N", help="length of the answer, at most"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    add_encoder_option(parser)


def run(args: argparse.Namespace) -> int:
    """Check what was given, load the model, print its answer."""
    folder, other = model_directory(args.model), args.allow_other_encoder
    processor: Any = load_processor(folder, allow_other_encoder=other)
    path = _checked(args.question, args.bag, args.image, args.max_new_tokens, reads_of(processor), args.model)
    check_file(processor, path)
    model = load_model(folder, adapter=args.adapter, device=args.device, allow_other_encoder=other)
    told = ask(model, args.question, bag=args.bag, image=args.image, max_new_tokens=args.max_new_tokens)
    sys.stdout.write(f"{told}\n")
    return 0


def ask(
    model: LoadedModel,
    question: str,
    *,
    bag: str | Path | None = None,
    image: str | Path | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> str:
    """Ask a model one question about one bag or image, without sampling: the answer is the same each time.

    Args:
        model: of `load_model`.
        question: as a user would ask it; the image is put before it.
        bag: H5 feature bag of a slide, for a model that reads bags.
        image: image file, for a model that reads images (a bag is taken too where the model reads bags).
        max_new_tokens: length of the answer, at most.

    Returns:
        The answer, without the tokens that end it and the blanks around it.

    Raises:
        PathPluginsError: neither or both of ``bag`` and ``image``, or a file that the model cannot read.
    """
    path = _checked(question, bag, image, max_new_tokens, model.reads, model.name)
    check_file(model.processor, path)
    return answers(model, [conversation(model.processor.tokenizer, question)], [[path]], max_new_tokens)[0]


def answers(
    model: LoadedModel,
    prompts: Sequence[str],
    images: Sequence[Sequence[str | Path]],
    max_new_tokens: int,
    *,
    temperature: float | None = None,
    num_beams: int | None = None,
    seed: int | None = None,
) -> list[str]:
    """Answer a batch of prompts (see `pathplugins.commands.prompting`), each as if it had been asked alone.

    Args:
        model: of `load_model`.
        prompts: with one ``<image>`` for each of their images.
        images: the bags or images of each prompt.
        max_new_tokens: length of an answer, at most.
        temperature: draw each token, at this temperature and from the whole vocabulary; None takes the likeliest.
        num_beams: follow so many beams; None is 1.
        seed: of the draws; the generators of torch are as before afterwards. None goes on with them as they are.
    """
    import torch

    processor: Any = model.processor
    inputs = processor(prompts, images).to(model.model.device)
    options: dict[str, Any] = {"pad_token_id": processor.tokenizer.pad_token_id, "do_sample": temperature is not None}
    if temperature is not None:
        options |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    if num_beams is not None:
        options["num_beams"] = num_beams
    gpus = [inputs["input_ids"].device] if inputs["input_ids"].is_cuda else []
    with torch.random.fork_rng(devices=gpus, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        output = model.model.generate(**inputs, max_new_tokens=max_new_tokens, **options)
    new = output[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.tokenizer.batch_decode(new, skip_special_tokens=True)]


def check_file(processor: Any, path: Path) -> None:
    """Refuse a damaged file and one of another encoder, and a bag by every rule that training has for it."""
    from pathplugins.models.custom_llava.image_checks import image_check

    processor.num_image_tokens(path)
    check, _ = image_check(processor.image_processor, {})
    check(str(path))


def _checked(
    question: str,
    bag: str | Path | None,
    image: str | Path | None,
    max_new_tokens: int,
    reads: Reads,
    model: str,
) -> Path:
    """Return the file that is asked about, or refuse what cannot be asked."""
    if not question.strip():
        raise PathPluginsError("the question is empty; give some text with --question")
    if max_new_tokens < 1:
        raise PathPluginsError(f"--max-new-tokens is {max_new_tokens}, expected 1 or more")
    if bag is None and image is None:
        option = "--bag FILE.h5" if reads == "bags" else "--image FILE"
        raise PathPluginsError(
            f"{model} reads {reads} and was given none: it would answer from its language model alone; add {option}"
        )
    if bag is not None and image is not None:
        raise PathPluginsError(f"one question is about one file, got a bag ({bag}) and an image ({image}); give one")
    option, given = ("--image", image) if bag is None else ("--bag", bag)
    path = Path(str(given))
    check_vision_input(path, option, reads=reads, model=model)
    return path
