"""``pathplugins ask``: put a question about one feature bag to a trained model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument("--bag", required=True, type=Path, metavar="FILE", help="H5 feature bag of the slide")
    parser.add_argument("--question", required=True, metavar="TEXT")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="length of the answer, at most")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")


def run(args: argparse.Namespace) -> int:
    """Load, ask, print the answer."""
    if not args.bag.is_file():
        raise PathPluginsError(f"--bag {args.bag}: no such file; make it with 'pathdata features'")
    model, processor = load(args.model, adapter=args.adapter, device=args.device)
    sys.stdout.write(answer(model, processor, args.bag, args.question, args.max_new_tokens) + "\n")
    return 0


def load(directory: str, *, adapter: str | None = None, device: str = "auto") -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model, in evaluation mode on ``device``, and processor."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from pathplugins.models.custom_llava.auto import register

    register()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(directory, torch_dtype="auto")
    processor = AutoProcessor.from_pretrained(directory)
    if not hasattr(processor, "num_image_tokens"):
        raise PathPluginsError(f"{directory} holds a {type(model).__name__}; give a directory of 'pathplugins compose'")
    if adapter is not None:
        try:
            from peft import PeftModel
        except ImportError as error:
            raise MissingDependencyError("peft is needed for --adapter: pip install peft") from error
        model = PeftModel.from_pretrained(model, adapter)
    return model.to(device).eval(), processor


def answer(model: Any, processor: Any, bag: str | Path, question: str, max_new_tokens: int = 128) -> str:
    """The model's answer to one question about one bag, without sampling: the same each time.

    Args:
        model: `custom_llava`, with or without a PEFT adapter.
        processor: the model's own.
        bag: H5 feature bag.
        question: as a user would ask it; the slide is put before it.
        max_new_tokens: length of the answer, at most.
    """
    text = conversation(processor.tokenizer, question)
    inputs = processor(text, [bag]).to(model.device)
    pad = processor.tokenizer.pad_token_id
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=pad)
    return processor.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def conversation(tokenizer: PreTrainedTokenizerBase, question: str) -> str:
    """The prompt by the tokenizer's chat template; with our system prompt where the template has none of its own."""
    from jinja2 import TemplateError

    from pathplugins.data.prompts import SYSTEM_PROMPT
    from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

    if not tokenizer.chat_template:
        raise PathPluginsError(
            "the tokenizer has no chat template, so nobody knows how this model was asked in training; ask a trained "
            "model, or compose from an instruction-tuned language model"
        )

    def render(*system: str) -> str:
        turns = [{"role": "system", "content": text} for text in system]
        turns.append({"role": "user", "content": f"{PLACEHOLDER}\n{question}"})
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    plain = render()
    try:
        with_ours = render(SYSTEM_PROMPT)
    except TemplateError:  # the template refuses a system turn
        return plain
    # A template with a prompt of its own has a system turn in any case: ours only takes the place of what stands there.
    return with_ours if len(with_ours) - len(SYSTEM_PROMPT) > len(plain) else plain
