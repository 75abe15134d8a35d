"""Bag of a slide: the work of ``pathdata run`` with the encoder of a model, done once for what the slide holds."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins import __version__
from pathplugins.core.content import content_print
from pathplugins.core.disks import check_writable
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import slide_name
from pathplugins.encoders.slide_options import SlideOptions
from pathplugins.models.compose.cache import cache_dir
from pathplugins.published.encoder_names import encoder_key


class SlideBag(NamedTuple):
    """What was made of a slide."""

    bag: Path
    """H5 feature bag, named like the slide."""
    picture: Path
    """The slide with its tissue and the patches that the bag holds, PNG."""


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `SlideOptions`."""
    group = parser.add_argument_group("how a slide becomes features, where --slide is given")
    group.add_argument(
        "--encoder", metavar="NAME|PATH", help="patch encoder, for a model that does not record which it was trained on"
    )
    weights = group.add_mutually_exclusive_group()
    weights.add_argument("--encoder-weights", type=Path, metavar="FILE", help="local checkpoint of the patch encoder")
    weights.add_argument("--random-weights", type=int, metavar="SEED", help="untrained weights, for a trial run")
    weights.add_argument("--download", action="store_true", help="fetch the published weights of the patch encoder")
    group.add_argument("--activation", choices=("quick_gelu", "gelu"), help="of encoders that leave it open")
    group.add_argument("--patch-size", type=int, metavar="PX", help="side of the patches (default: the model's grid)")
    group.add_argument("--mpp", type=float, help="microns per pixel of the patches (default: the model's grid)")
    group.add_argument("--slide-mpp", type=float, help="microns per pixel of a slide that records none")


def slide_options_of(args: argparse.Namespace) -> SlideOptions:
    """Return what was asked for by the options."""
    return SlideOptions(**{name: getattr(args, name) for name in SlideOptions.__dataclass_fields__})


def refuse_idle(options: SlideOptions, given: str) -> None:
    """Raise a `PathPluginsError` where options of a slide stand beside ``given``, an option that names no slide."""
    usual = SlideOptions()
    idle = [name for name in SlideOptions.__dataclass_fields__ if getattr(options, name) != getattr(usual, name)]
    if given != "--slide" and idle:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        raise PathPluginsError(f"{names}: a slide becomes a bag by it, and {given} names none; leave it out")


def bag_of_slide(slide: Path, image_processor: Any, options: SlideOptions, *, device: str = "auto") -> SlideBag:
    """Return the bag of a slide, made with the encoder that a model was trained with; progress is shown on stderr.

    What is made is kept below the user's cache folder under a name that follows from what the slide and the weights
    hold and from all settings: the same slide is not done again, wherever it lies. A run that was killed goes on where
    it was: patches that were cut stay, features that were half-written are done again.

    Args:
        slide: file, or folder of a slide of several files.
        image_processor: of a model that reads bags.
        options: the encoder, where the model does not say, its weights, and the patches.
        device: torch's name of the encoder's device, or ``auto``.

    Raises:
        PathPluginsError: no encoder, another than the model's, no weights, or a slide that cannot be read or holds no
            tissue.
        MissingDependencyError: the extra ``wsi`` is not installed.
    """
    from pathplugins.data_tools.engine.progress import say

    plan = _planned(slide, image_processor, options)
    if not plan.is_made:
        _make([plan.slide], plan.encoder, options, plan.tiling, plan.work, device)
    say(f"{slide}: its patches are drawn in {plan.made.picture}")
    return plan.made


def made_bag(slide: Path, image_processor: Any, options: SlideOptions) -> SlideBag | None:
    """Return what `bag_of_slide` made of a slide and kept; None where it has nothing yet.

    Raises:
        PathPluginsError: as `bag_of_slide`, for what it refuses before it reads the slide.
    """
    plan = _planned(slide, image_processor, options)
    return plan.made if plan.is_made else None


class _Plan(NamedTuple):
    """What is to be made of a slide, and where it is kept."""

    slide: Path
    encoder: str
    tiling: Any
    work: Path
    made: SlideBag

    @property
    def is_made(self) -> bool:
        return self.made.bag.is_file() and self.made.picture.is_file()


def _planned(slide: Path, image_processor: Any, options: SlideOptions) -> _Plan:
    from pathplugins.data_tools.commands.options.tiling import TilingOptions
    from pathplugins.data_tools.engine.progress import say
    from pathplugins.data_tools.slides.find import find_slides

    name = _encoder(image_processor, options)
    found = find_slides([slide], outside=cache_dir(), tell=say)
    if len(found) != 1:
        raise PathPluginsError(f"--slide {slide}: holds {len(found)} slides; give one of them, {found[0]} perhaps")
    tiling = TilingOptions(
        slides=found,
        out=cache_dir(),
        patch_size=image_processor.tile_px if options.patch_size is None else options.patch_size,
        mpp=image_processor.frame_mpp if options.mpp is None else options.mpp,
        slide_mpp=options.slide_mpp,
    )
    work = cache_dir() / "slides" / _key(found[0], name, options, tiling.spec().settings())
    made = SlideBag(work / "bags" / f"{slide_name(found[0])}.h5", work / "overlays" / f"{slide_name(found[0])}.png")
    return _Plan(found[0], name, tiling, work, made)


def _make(slides: Sequence[Path], name: str, options: SlideOptions, tiling: Any, work: Path, device: str) -> None:
    """Do what ``pathdata run`` does, in this process."""
    from dataclasses import replace

    from pathplugins.data_tools.commands.patch import slide_jobs
    from pathplugins.data_tools.encoders.bag_recipe import BagRecipe
    from pathplugins.data_tools.engine.pools import HerePool
    from pathplugins.data_tools.engine.progress import Board
    from pathplugins.data_tools.engine.run import run_jobs
    from pathplugins.encoders.encoder import EncoderChoice

    choice = EncoderChoice(
        name=name,
        weights=options.encoder_weights,
        random_seed=options.random_weights,
        download=options.download,
        device=device,
        activation=options.activation,
    )
    check_writable(work)
    recipe = BagRecipe(command="run", work=work, bags=work / "bags", encoder=choice)
    jobs = slide_jobs(replace(tiling, out=work), dry_run=True)
    summary = run_jobs(jobs, recipe, HerePool(recipe), Board(len(jobs)))
    if summary.failed:
        (reason,) = summary.failed.values()
        raise PathPluginsError(f"--slide {slides[0]}: {reason.removeprefix(f'{slides[0]}: ')}")


def _encoder(image_processor: Any, options: SlideOptions) -> str:
    """Return the name of the encoder, or refuse one that is not the model's, and one without weights."""
    from pathplugins.encoders.registry import ENCODERS, find_card

    expected = image_processor.expects_encoder
    if options.encoder is None and expected is None:
        raise PathPluginsError(
            "--slide: the model does not record which patch encoder its features were made with; add --encoder NAME "
            "(`pathdata encoders` lists them), the one of the bags it was trained on"
        )
    key = encoder_key(options.encoder or expected)
    name = options.encoder or (key if key in ENCODERS else expected)  # timm's names know no other spelling
    card = find_card(name)
    if expected is not None and not image_processor.allow_other_encoder:
        if encoder_key(card.name) != encoder_key(expected):
            raise PathPluginsError(
                f"--encoder {name}: the model was trained on features of {expected}; leave it out, or add "
                "--allow-other-encoder if this is meant"
            )
        if options.random_weights is not None:
            raise PathPluginsError(
                f"--random-weights: the model was trained on features of {expected}, and untrained weights give "
                "others; give --encoder-weights, or add --allow-other-encoder for a trial run"
            )
    if card.width not in (None, image_processor.feature_dim):
        raise PathPluginsError(
            f"--encoder {name}: gives {card.width} features a patch, the model takes {image_processor.feature_dim}; "
            "give the encoder of the bags it was trained on"
        )
    given = (options.encoder_weights, options.random_weights, options.download or None, card.weights)
    if not any(place is not None for place in given):
        raise PathPluginsError(
            f"--slide: the features are made with the patch encoder {name}; add --encoder-weights FILE, its checkpoint"
            + ("" if card.local_only else f", or --download to fetch it from {card.hub_id or 'the timm hub'}")
        )
    return name


def _key(slide: Path, encoder: str, options: SlideOptions, tiling: str) -> str:
    """Return the name of the work folder: a print of all that decides its files; equal for equal content."""
    weights, folder = options.encoder_weights, Path(encoder)
    if weights is not None and not weights.exists():
        raise PathPluginsError(f"--encoder-weights {weights}: no such file or folder")
    decided = {
        "version": __version__,
        "slide": [slide_name(slide), content_print(slide)],
        "encoder": content_print(folder) if folder.is_dir() else encoder,
        "weights": None if weights is None else content_print(weights),
        "random": options.random_weights,
        "activation": options.activation,
        "tiling": tiling,
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:20]
