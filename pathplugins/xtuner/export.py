"""``pathplugins export xtuner``: write a checkpoint of XTuner as one Hugging Face directory, adapters merged."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.files import refuse_nonempty
from pathplugins.models.compose.cache import new_directory
from pathplugins.xtuner.configs import read_config, words_of

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


def export_checkpoint(pth: Path, config: Path, out: Path, *, fp32: bool = False, **options: Any) -> Path:
    """Write ``out`` from a checkpoint and the config it was trained with; nothing half-written is ever seen there."""
    from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint

    settings = read_config(config)
    words_of(settings)  # before the weights are read
    refuse_nonempty(out)
    state = read_checkpoint(pth)
    with new_directory(out) as beside:
        write_directory(settings, state, beside, fp32=fp32, **options)
    return out


def write_directory(cfg: Any, state: Mapping[str, Tensor], out: Path, *, fp32: bool = False, **options: Any) -> None:
    """Write model, tokenizer and processor of a training config, with the trained weights ``state`` in it.

    Args:
        cfg: the training config.
        state: name -> weight as XTuner saved them.
        out: directory, made if need be.
        fp32: weights in float32 instead of the base model's type.
        **options: of ``save_pretrained``.
    """
    import torch
    from xtuner.registry import BUILDER

    from pathplugins.models.foreign.xtuner.checkpoint import CONNECTOR, read_checkpoint

    settings = dict(cfg.model)
    earlier = settings.get("pretrained_pth") if settings.get("freeze_projector") else None
    if earlier and not any(CONNECTOR in name for name in state):  # DeepSpeed saves nothing that is frozen
        state = {**read_checkpoint(earlier), **state}
    settings.update(pretrained_pth=None, use_activation_checkpointing=False, lr_mult=None)
    llm = dict(settings["llm"])
    llm.pop("quantization_config", None)  # merging needs the weights themselves
    if fp32:
        llm["torch_dtype"] = "float32"
    settings["llm"] = llm
    wrapper = BUILDER.build(settings)
    wrapper.load_trained(dict(state), "the checkpoint")
    core = wrapper.llm
    if hasattr(core, "merge_and_unload"):
        core = core.merge_and_unload()
    base = torch.float32 if fp32 else core.get_input_embeddings().weight.dtype
    core = core.to(base)
    core.config.use_cache = core.config.text_config.use_cache = True
    out.mkdir(parents=True, exist_ok=True)
    core.save_pretrained(out, **options)
    save_processor(cfg, out)


def save_processor(cfg: Any, out: Path) -> None:
    """Write tokenizer and image processor, with the chat template of the training."""
    from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaProcessor
    from pathplugins.xtuner.parts import model_directory

    said = words_of(cfg)
    processor = CustomLlavaProcessor.from_pretrained(model_directory(said["model"]))
    if (template := said["prompt_template"]) is not None:
        from pathplugins.xtuner.chat_template import jinja_template

        words = {"system": said["system"] or "", "tokenizer": processor.tokenizer}
        processor.tokenizer.chat_template = jinja_template(template, **words)
    processor.save_pretrained(out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins export``."""
    trainers = parser.add_subparsers(dest="trainer", required=True, metavar="TRAINER")
    xtuner = trainers.add_parser("xtuner", help="an iter_N.pth of XTuner")
    xtuner.add_argument("checkpoint", type=Path, metavar="ITER.pth", help="file, or DeepSpeed directory")
    xtuner.add_argument("--config", type=Path, required=True, metavar="CONFIG.py", help="what it was trained with")
    xtuner.add_argument("--out", type=Path, required=True, metavar="DIR", help="new directory")
    xtuner.add_argument("--fp32", action="store_true", help="float32 instead of the base model's type")


def run(args: argparse.Namespace) -> int:
    """Export, and say what can be done with it."""
    export_checkpoint(args.checkpoint, args.config, args.out, fp32=args.fp32)
    sys.stdout.write(
        f"wrote {args.out}; ask it, or train on from it in either trainer:\n"
        f'  pathplugins ask {args.out} --image FILE --question "What does this show?"\n'
    )
    return 0
