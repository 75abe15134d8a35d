"""``pathplugins export-weights``: a model of this package -> a checkpoint LLaVA or Transformers loads without it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.commands.lines import say
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL_DIR", help="composed, trained or imported; for mm-projector a connector too"
    )
    parser.add_argument(
        "--to",
        required=True,
        choices=("llava", "hf-llava", "mm-projector"),
        help="directory of haotian-liu/LLaVA v1.5 | of Transformers' LlavaForConditionalGeneration | mm_projector.bin",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="PATH", help="new directory; for mm-projector a file"
    )
    parser.add_argument(
        "--vision-tower",
        metavar="DIR",
        help="for llava: the CLIP directory it shall read, with the model's own weights, in place of a copy in --out",
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and print which file or directory was written."""
    if not args.model.exists():
        raise PathPluginsError(f"{args.model} does not exist; give a model directory{near_path(args.model)}")
    if args.to == "mm-projector":
        from pathplugins.models.foreign.llava.projector import export_projector

        if args.vision_tower is not None:
            raise PathPluginsError("--vision-tower is for --to llava; leave it out")
        kind = export_projector(args.model, args.out)
        say(f"wrote {args.out}: connector {kind} by LLaVA's names, model.mm_projector.*")
        return 0
    from pathplugins.models.foreign.llava.write import export_llava

    config = export_llava(args.model, args.out, args.to, vision_tower=args.vision_tower)
    if args.to == "llava":
        say(f"wrote {args.out}: LLaVA v1.5, its vision tower read from {config['mm_vision_tower']}")
        if args.vision_tower is None:
            say("LLaVA finds the tower by this absolute path: change mm_vision_tower in config.json if you move it")
    else:
        say(f"wrote {args.out}: load it with transformers.LlavaForConditionalGeneration")
        say("its image processor pads to a square, which Transformers can from 4.49 on")
    return 0
