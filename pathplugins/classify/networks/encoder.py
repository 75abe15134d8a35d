"""Build the patch encoder of a training run, with its weights and its input size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pathplugins.classify.options import ClassifyArguments, HeadName
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.encoders.hub_folder import from_timm
from pathplugins.encoders.origin import EncoderChoice, model_with_weights
from pathplugins.encoders.registry import find_card
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.preprocessing import Preprocess

DILATED = {"deeplabv3plus": 16}  #: head -> stride of the last feature map, which it wants finer than the usual 32


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A timm model that gives one vector a patch, and what rebuilds it."""

    model: Any
    architecture: str
    model_args: dict[str, Any]
    preprocess: Preprocess
    width: int
    """Features a patch."""
    tokens: bool
    """Whether it is a ViT: features of a patch are tokens of one size, not maps of several."""
    origin: dict[str, str]
    """Where its weights came from."""


def build_encoder(options: ClassifyArguments) -> Encoder:
    """Build the encoder that ``options`` name, with weights, and try one picture of the wanted size.

    Raises:
        PathPluginsError: an unknown encoder, one that cannot be trained, no weights, or a size that it does not take.
        CheckpointError: weights that do not fit.
    """
    card = find_card(options.encoder)
    if card.family != "timm" or card.pool != "model" or card.architecture.startswith("hf-hub:"):
        raise PathPluginsError(
            f"encoder {options.encoder}: only models of timm that give one vector a patch can be trained; pass a timm "
            "model, or a directory of `pathplugins import-weights`"
        )
    if options.weights is None and options.random_weights is None and card.weights is None:
        raise PathPluginsError(
            f"encoder {options.encoder}: no weights; set weights: FILE, random_weights: 0 to start untrained, or name "
            "the directory of an encoder"
        )
    card, preprocess, tokens = _of_size(card, options)
    weights = None if options.weights is None else Path(options.weights)
    choice = EncoderChoice(name=options.encoder, weights=weights, random_seed=options.random_weights)
    model, _, origin = model_with_weights(card, choice)
    if options.reset_bn:
        reset_statistics(model)
    return Encoder(
        model=model,
        architecture=card.architecture,
        model_args=card.timm_kwargs,
        preprocess=preprocess,
        width=_width(model, preprocess.crop_px, options.encoder),
        tokens=tokens,
        origin=origin,
    )


def reset_statistics(model: Any) -> int:
    """Set the running mean and variance of all batch norms to 0 and 1, and return how many there are."""
    norms = [module for module in model.modules() if hasattr(module, "reset_running_stats")]
    for norm in norms:
        norm.reset_running_stats()
    return len(norms)


def _of_size(card: EncoderCard, options: ClassifyArguments) -> tuple[EncoderCard, Preprocess, bool]:
    """Return the card of the encoder for pictures of the wanted size, its preprocessing, and whether it is a ViT."""
    torch = need("torch")
    with torch.device("meta"):
        bare = _created(card, card.timm_kwargs)
    known = card.preprocess or from_timm(need("timm", extra="patchtcga").data.resolve_model_data_config(bare))
    side = options.image_size or known.crop_px
    preprocess = replace(known, resize_px=side, crop_px=side)
    tokens = hasattr(bare, "patch_embed") and hasattr(bare, "pos_embed") and hasattr(bare, "blocks")
    kwargs = {"num_classes": 0, **card.timm_kwargs}
    sizes = getattr(getattr(bare, "patch_embed", None), "img_size", None)
    if tokens and sizes is not None and tuple(sizes) != (side, side):
        kwargs["dynamic_img_size"] = True  # the stored position embeddings stay whole, and are resized as they are used
    head = _head(options, tokens=tokens)
    if options.recipe == "segment":
        check_head(head, card.architecture, tokens=tokens)
    if (stride := DILATED.get(head)) is not None:
        kwargs["output_stride"] = stride
        with torch.device("meta"):
            _created(card, kwargs, advice="; set head: fpn, which takes feature maps as they are")
    return replace(card, timm_kwargs=kwargs), preprocess, tokens


def check_head(head: HeadName, architecture: str, *, tokens: bool) -> None:
    """Refuse a head of ViTs on another encoder, or the reverse.

    Raises:
        PathPluginsError: which heads fit.
    """
    if tokens != (head == "tokens"):
        other = "tokens" if tokens else "deeplabv3plus, fpn or unet"
        what = "a ViT" if tokens else "no ViT"
        raise PathPluginsError(
            f"head {head}: {architecture} is {what}; set head: {other}, or head: null for the default"
        )


def _head(options: ClassifyArguments, *, tokens: bool) -> HeadName:
    from pathplugins.classify.recipes import RECIPES, default_head

    return options.head or default_head(RECIPES[options.recipe], tokens=tokens)


def _created(card: EncoderCard, kwargs: dict[str, Any], *, advice: str = "") -> Any:
    from pathplugins.encoders.build import build_model

    return _tried(lambda: build_model(replace(card, timm_kwargs={"num_classes": 0, **kwargs})), card.name, advice)


def _width(model: Any, side: int, name: str) -> int:
    """Return the features a patch of the model, which must take pictures of ``side`` pixels."""
    torch = need("torch")
    training = model.training
    with torch.no_grad():
        pixels = torch.zeros(1, 3, side, side)  # [B, 3, S, S]
        features = _tried(lambda: model.eval()(pixels), f"{name} with image_size {side}", "; set another image_size")
    model.train(training)
    if features.ndim != 2:
        raise PathPluginsError(
            f"encoder {name}: gives {list(features.shape)} for one picture, wanted one vector; pass a model that pools"
        )
    return features.shape[1]


def _tried(step: Callable[[], Any], what: str, advice: str) -> Any:
    """Return what ``step`` returns; timm refuses sizes and arguments with any of these."""
    try:
        return step()
    except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, PathPluginsError):
            raise
        raise PathPluginsError(f"encoder {what}: {' '.join(str(error).split())[:300]}{advice}") from error
