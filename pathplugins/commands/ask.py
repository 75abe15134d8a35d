"""``pathplugins ask``: put a question about one image or feature bag to a trained model."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    image = parser.add_mutually_exclusive_group(required=True)
    image.add_argument("--image", type=Path, metavar="FILE", help="image, or H5 feature bag of a slide")
    image.add_argument("--bag", dest="image", type=Path, metavar="FILE", help="the same, said of a bag")
    parser.add_argument("--question", required=True, metavar="TEXT")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="length of the answer, at most")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")


def run(args: argparse.Namespace) -> int:
    """Load, ask, print the answer."""
    if not args.image.is_file():
        raise PathPluginsError(f"{args.image}: no such file; give an image, or a bag made with 'pathdata features'")
    model, processor = load(args.model, adapter=args.adapter, device=args.device)
    sys.stdout.write(answer(model, processor, args.image, args.question, args.max_new_tokens) + "\n")
    return 0


def load(
    directory: str,
    *,
    adapter: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    bits: Literal[4, 8] | None = None,
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model, in evaluation mode on ``device``, and processor.

    Args:
        directory: composed or trained model directory, or hub id.
        adapter: LoRA adapter trained on the model.
        device: ``auto`` is a GPU if there is any.
        dtype: of the weights, e.g. ``bfloat16``; ``auto`` is the checkpoint's.
        bits: quantize the language model by bitsandbytes; vision tower, connector and head stay as they are.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    processor = load_processor(directory)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    options: dict[str, Any] = {"torch_dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
    if bits is not None:
        options |= {"quantization_config": _quantization(bits, device, options["torch_dtype"]), "device_map": device}
    model = AutoModelForImageTextToText.from_pretrained(directory, **options)
    if adapter is not None:
        try:
            from peft import PeftModel
        except ImportError as error:
            raise MissingDependencyError("peft is needed for --adapter: pip install peft") from error
        model = PeftModel.from_pretrained(model, adapter)
    return (model if bits else model.to(device)).eval(), processor


def load_processor(directory: str) -> ProcessorMixin:
    """The processor of a model directory or hub id."""
    from transformers import AutoProcessor

    from pathplugins.models.custom_llava.auto import register

    register()
    processor = AutoProcessor.from_pretrained(directory)
    if not hasattr(processor, "num_image_tokens"):
        raise PathPluginsError(
            f"{directory} comes with a {type(processor).__name__}; give a directory of 'pathplugins compose'"
        )
    return processor


def _quantization(bits: int, device: str, dtype: Any) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if not device.startswith("cuda"):
        raise PathPluginsError(f"--bits {bits} needs an NVIDIA GPU, the device is {device}; leave it out")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError("bitsandbytes is needed for --bits: pip install bitsandbytes")
    return BitsAndBytesConfig(
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else dtype,
        llm_int8_skip_modules=["vision_tower", "token_selector", "multi_modal_projector", "lm_head"],
    )


def answer(model: Any, processor: Any, image: str | Path, question: str, max_new_tokens: int = 128) -> str:
    """The model's answer to one question about one image or bag, without sampling: the same each time.

    Args:
        model: `custom_llava`, with or without a PEFT adapter.
        processor: the model's own.
        image: what the model's tower reads: an image, or an H5 feature bag.
        question: as a user would ask it; the image is put before it.
        max_new_tokens: length of the answer, at most.
    """
    text = conversation(processor.tokenizer, question)
    return answers(model, processor, [text], [[image]], max_new_tokens)[0]


def answers(
    model: Any, processor: Any, prompts: Sequence[str], images: Sequence[Sequence[str | Path]], max_new_tokens: int
) -> list[str]:
    """The answers to a batch of prompts (see `prompt`) with their images, each as if it had been asked alone."""
    inputs = processor(prompts, images).to(model.device)
    pad = processor.tokenizer.pad_token_id
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=pad)
    new = output[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.tokenizer.batch_decode(new, skip_special_tokens=True)]


def conversation(tokenizer: PreTrainedTokenizerBase, question: str) -> str:
    """The prompt for a question about one image, which is put before it."""
    from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

    return prompt(tokenizer, f"{PLACEHOLDER}\n{question}")


def prompt(tokenizer: PreTrainedTokenizerBase, user: str) -> str:
    """The prompt by the tokenizer's chat template; with our system prompt where the template has none of its own.

    Args:
        tokenizer: the model's own.
        user: what the user says, with ``<image>`` where images belong.
    """
    from jinja2 import TemplateError

    from pathplugins.data.prompts import SYSTEM_PROMPT

    if not tokenizer.chat_template:
        raise PathPluginsError(
            "the tokenizer has no chat template, so nobody knows how this model was asked in training; ask a trained "
            "model, or compose from an instruction-tuned language model"
        )

    def render(*system: str) -> str:
        turns = [{"role": "system", "content": text} for text in system]
        turns.append({"role": "user", "content": user})
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    plain = render()
    try:
        with_ours = render(SYSTEM_PROMPT)
    except TemplateError:  # the template refuses a system turn
        return plain
    # A template with a prompt of its own has a system turn in any case: ours only takes the place of what stands there.
    return with_ours if len(with_ours) - len(SYSTEM_PROMPT) > len(plain) else plain
