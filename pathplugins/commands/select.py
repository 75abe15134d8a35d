"""``pathplugins select``: show which patches of a slide a model's token selector keeps."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pathplugins.commands.ask import conversation, load, load_processor
from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import inspect_bag, sample_rows
from pathplugins.data.bags.coords import read_coords
from pathplugins.data.bags.layout import BagInfo, open_bag, read_layout
from pathplugins.models.selectors import SELECTORS

if TYPE_CHECKING:
    import numpy as np


class Patches(NamedTuple):
    """The patches of a bag, on the slide."""

    coords_xy: np.ndarray
    """[N, 2] int64 top-left corners, level-0 pixels."""
    size_px0: int
    """Side, level-0 pixels."""
    level0_mpp: float | None
    """Microns per level-0 pixel, where the bag or the slide says."""


class Chosen(NamedTuple):
    """What the selector did with a bag, of whose rows k were read."""

    rows: np.ndarray
    """[k] int64 rows of the bag, ascending."""
    kept: np.ndarray
    """[k] bool."""
    scores: np.ndarray | None
    """[k] float32; None where the selector does not rank."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
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


def run(args: argparse.Namespace) -> int:
    """Check, select, draw, say where."""
    from pathplugins.data_tools.pictures.heat_map import draw_selection

    if args.patches is not None and args.patches < 1:
        raise PathPluginsError(f"--patches is {args.patches}, expected 1 or more")
    if args.out.suffix.lower() != ".png":
        raise PathPluginsError(f"--out {args.out}: the picture is a PNG; give a name that ends in .png")
    patches = locate(args.bag, args.slide)
    directory = _with_options(args.model, args.mode, args.budget)
    mode, selector = _selector(directory, args.prompt)
    chosen = select(directory, args.bag, args.prompt, patches=args.patches, device=args.device)
    read, total, kept = len(chosen.rows), len(patches.coords_xy), int(chosen.kept.sum())
    title = [mode if _is_trained(args.model, selector) else f"{mode} (its projection is not trained)"]
    title += [] if read == total else [f"{total} patches in the bag"]
    if args.prompt is not None:
        title += [f'prompt "{args.prompt}"' + ("" if selector.needs_prompt else " (not looked at)")]
    paths = draw_selection(
        args.out,
        coords_xy=patches.coords_xy[chosen.rows],
        patch_size_level0=patches.size_px0,
        level0_mpp=patches.level0_mpp,
        kept=chosen.kept,
        scores=chosen.scores,
        score_name=_score_name(selector),
        title=", ".join(title),
        slide=args.slide,
    )
    sys.stdout.write(f"kept {kept} of {read} patches: {' '.join(map(str, paths))}\n")
    return 0


def locate(bag: Path, slide: Path | None) -> Patches:
    """Where the patches of a bag lie, checked against the slide if there is one."""
    info = inspect_bag(bag)  # tries again where a read fails, and says what is wrong
    with open_bag(bag) as file:
        stored_xy = read_coords(read_layout(file, str(bag)).coords, info)  # [N, 2]
    mpp = info.level0_mpp if slide is None else _checked_mpp(slide, info)
    if info.units == "um":
        if mpp is None:
            raise BagError(f"{bag} stores microns and not how large a level-0 pixel is; name the slide with --slide")
        stored_xy = (stored_xy / mpp).round().astype("int64")
    side = info.patch_size_level0
    if side is None and info.patch_size and info.mpp and mpp:
        side = info.patch_size * info.mpp / mpp
    if side is None:
        raise BagError(
            f"{bag} does not record how large its patches are, so they cannot be drawn; extract it with 'pathdata "
            "features', or write patch_size_level0 (pixels) and level0_mpp (microns per pixel) into its attributes"
        )
    return Patches(stored_xy, round(side), mpp)


def _checked_mpp(path: Path, info: BagInfo) -> float | None:
    """Microns per level-0 pixel, of the slide where the bag does not say; a slide of another size is an error."""
    from pathplugins.data_tools.slides.resolution import resolve
    from pathplugins.data_tools.slides.slide import Slide

    with Slide(path) as slide:
        recorded = (info.level0_width, info.level0_height)
        if None not in recorded and recorded != slide.size_px0:
            raise PathPluginsError(
                f"{info.path} is of a slide of {recorded[0]} x {recorded[1]} pixels, {path} is {slide.size_px0[0]} x "
                f"{slide.size_px0[1]}; give the slide the bag was made from, or leave --slide out"
            )
        if info.level0_mpp is None and (info.units == "um" or info.patch_size_level0 is None):
            return resolve(slide).mpp
        return info.level0_mpp


def _with_options(model: str, mode: str | None, budget: int | None) -> str:
    """The model's directory, or a view of it with another selector or budget."""
    from pathplugins.models.compose.view import derived

    given = {"vision_feature_select_mode": mode, "image_seq_length": budget}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return model
    if not Path(model).is_dir():
        raise PathPluginsError(
            f"{model} is no directory; --mode and --budget need one: download the model, or leave them out"
        )
    _bags_only(load_processor(model), model)
    return str(derived(Path(model), config=changes, processor=changes))


def _selector(model: str, prompt: str | None) -> tuple[str, Any]:
    """The model's mode and the class of its selector, before any weights are read."""
    processor = load_processor(model)
    _bags_only(processor, model)
    mode = processor.image_processor.vision_feature_select_mode
    selector = SELECTORS.get(mode)
    if selector.needs_prompt and not prompt:
        raise PathPluginsError(f'{mode} looks at the question: give it with --prompt "..."')
    return mode, selector


def _is_trained(model: str, selector: Any) -> bool:
    """False where --mode asks for a selector whose weights the model never had: its scores then mean nothing."""
    from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX
    from pathplugins.weights.tensor_files import tensor_names, weight_files

    if not selector(1, 1).state_dict() or not Path(model).is_dir():
        return True
    return any(name.startswith(SELECTOR_PREFIX) for file in weight_files(Path(model)) for name in tensor_names(file))


def _score_name(selector: Any) -> str:
    if selector.needs_prompt:
        return "cosine to the prompt"
    return "attention of the slide token" if selector.needs_attention else "score"


def _bags_only(processor: Any, model: str) -> None:
    if not hasattr(processor.image_processor, "patches_per_wsi"):
        raise PathPluginsError(f"{model} reads images; patches are selected from feature bags, give a model of those")


def select(
    directory: str, bag: Path, prompt: str | None, *, patches: int | None = None, device: str = "auto"
) -> Chosen:
    """What the model's token selector keeps of one bag.

    Args:
        directory: model directory or hub id.
        bag: H5 feature bag.
        prompt: the question, as `pathplugins ask` puts it; needed only by selectors that look at it.
        patches: rows to read, drawn as for a question; all of them when None.
        device: ``auto`` is a GPU if there is any.
    """
    import numpy as np
    import torch

    from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER

    model, processor = load(directory, device=device)
    processor.image_processor.patches_per_wsi = patches
    text = PLACEHOLDER if prompt is None else conversation(processor.tokenizer, prompt)
    inputs = processor(text, [bag])
    seed, block = int(inputs["patch_seeds"][0]), processor.image_processor.patches_block
    rows = sample_rows(inspect_bag(bag).rows, patches, seed, block=block)  # those the processor has read
    with torch.inference_mode():
        selection = model.select_image_tokens(**inputs.to(model.device))
    kept = np.zeros(len(rows), bool)
    kept[selection.indices.cpu().numpy()] = True
    scores = None if selection.scores is None else selection.scores.float().cpu().numpy()
    return Chosen(rows, kept, scores)
