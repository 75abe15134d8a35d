"""``pathplugins select``: show which patches of a slide a model's token selector keeps."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pathplugins.commands.loading import add_encoder_option, load_model, load_processor
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.selection import check_selection, draw_selection, locate, require_bags, selector_mode
from pathplugins.core.errors import PathPluginsError
from pathplugins.models.selectors import SELECTORS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--model", required=True, metavar="DIR", help="composed or trained directory, or hub id")
    parser.add_argument("--bag", type=Path, required=True, metavar="FILE", help="H5 feature bag of the slide")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="a .geojson for QuPath goes beside")
    parser.add_argument("--slide", type=Path, metavar="FILE", help="draw on this slide; on a blank canvas without")
    parser.add_argument("--prompt", metavar="TEXT", help="the question, for a mode that looks at it")
    parser.add_argument("--mode", choices=[*SELECTORS], help="token selector; the model's own unless given")
    parser.add_argument("--budget", type=int, metavar="N", help="tokens to keep; the model's own number unless given")
    parser.add_argument(
        "--patches", type=int, metavar="N", help="read N patches of the bag, drawn as for a question; all unless given"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    add_encoder_option(parser)


def run(args: argparse.Namespace) -> int:
    """Check, select, draw, and print where the picture is."""
    folder = model_directory(args.model, "--model")
    view = _with_options(folder, args.model, args.mode, args.budget)
    other = args.allow_other_encoder
    processor: Any = load_processor(view, allow_other_encoder=other)
    check_selection(processor, args.model, args.bag, args.out, prompt=args.prompt, patches=args.patches)
    locate(args.bag, args.slide)
    processor.num_image_tokens(args.bag)  # refuses features of another encoder
    trained = _is_trained(folder, SELECTORS.get(selector_mode(processor)))
    model = load_model(view, device=args.device, allow_other_encoder=other)
    drawn = draw_selection(
        model,
        args.bag,
        args.out,
        slide=args.slide,
        prompt=args.prompt,
        patches=args.patches,
        trained=trained,
    )
    sys.stdout.write(f"kept {drawn.kept} of {drawn.read} patches: {drawn.picture} {drawn.geojson}\n")
    return 0


def _with_options(folder: Path, model: str, mode: str | None, budget: int | None) -> Path:
    """Return the model's directory, or a view of it with another selector or budget."""
    from pathplugins.models.compose.view import derived

    if budget is not None and budget < 1:
        raise PathPluginsError(f"--budget is {budget}, expected 1 or more")
    given = {"vision_feature_select_mode": mode, "image_seq_length": budget}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return folder
    require_bags(load_processor(folder), model)
    return derived(folder, config=changes, processor=changes)


def _is_trained(folder: Path, selector: Any) -> bool:
    """Return False where --mode asks for a selector whose weights the model never had: its scores then mean nothing."""
    from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX
    from pathplugins.weights import open_weights
    from pathplugins.weights.model_folder import weight_files

    if not selector(1, 1).state_dict():
        return True
    return any(name.startswith(SELECTOR_PREFIX) for file in weight_files(folder) for name in open_weights(file))
