"""Options of a `timm` vision tower, and what follows from them.

Axes: T tiles, S side of a tile in pixels, N patch tokens per tile, C width of the tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocess


@dataclass(frozen=True, kw_only=True)
class TimmVisionConfig:
    """A patch encoder of timm as a vision tower; those that are None follow from the others, see `resolved`."""

    architecture: str = "vit_base_patch16_224"
    """timm's name of the model."""
    model_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the model in plain values, as in an encoder card's ``timm_kwargs``."""
    encoder: str = ""
    """Card or folder the weights are of."""
    image_size: int = 224
    """S: the whole picture, or a tile of it, is resized to this."""
    select_layer: int | None = None
    """What is given out. Of a transformer of n blocks: i or i - n - 1 is the output of block i, so that -2 (when None)
    is that of the last block but one, as LLaVA takes it; -1 is the model's own output, what timm's forward_features
    gives: its last norm included, unless that stands behind the pooling (``global_pool: avg``), where it is one of mean
    tokens. Of any other model the stage: -1 (when None) is its last map. Nothing beyond is built."""
    image_mean: list[float] = field(default_factory=lambda: list(IMAGENET_MEAN))
    image_std: list[float] = field(default_factory=lambda: list(IMAGENET_STD))
    interpolation: str = "bicubic"
    """Of resizing: bicubic or bilinear."""
    hidden_size: int | None = None
    """C."""
    tokens_per_tile: int | None = None
    """N, class and register tokens not counted."""
    prefix_tokens: int | None = None
    """Class and register tokens before the patch tokens."""
    class_token: bool | None = None
    """Whether the first of them is a class token; without one the mean of the patch tokens stands for it."""
    unused: list[str] | None = None
    """Parts of the model that the tokens do not need, and that are not built."""

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise PathPluginsError(f"image_size must be positive, got {self.image_size}")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise PathPluginsError(f"interpolation must be bicubic or bilinear, got {self.interpolation!r}")

    @property
    def preprocess(self) -> Preprocess:
        """Steps that turn a picture into a tile; nothing is cropped away."""
        return Preprocess(
            resize_px=self.image_size,
            crop_px=self.image_size,
            interpolation=self.interpolation,
            mean=tuple(self.image_mean),
            std=tuple(self.image_std),
        )


DERIVED = ("hidden_size", "tokens_per_tile", "prefix_tokens", "class_token", "unused")
"""Options that follow from the others: no user gives them, a model directory records them."""


def resolved(config: TimmVisionConfig) -> TimmVisionConfig:
    """Return the config with all that follows from the others; the model runs once without memory to learn it.

    A directory records all of it, so that loading runs nothing: within DeepSpeed's ZeRO-3 it could not.

    Raises:
        PathPluginsError: the model is unknown, has no such layer, or gives no square of tokens for a square tile.
    """
    if None not in (config.select_layer, *(getattr(config, name) for name in DERIVED)):
        return config
    with torch.device("meta"):
        model = new_encoder(config).eval()
    transformer, depth = is_transformer(model), len(model.feature_info)
    layer = config.select_layer if config.select_layer is not None else (-2 if transformer and depth > 1 else -1)
    config = replace(config, select_layer=layer)
    cut_behind(model, config)
    with torch.enable_grad(), torch.device("meta"):
        tokens = patch_tokens(model, model.forward_features(torch.zeros(1, 3, *[config.image_size] * 2)))  # [1, N, C]
        named = dict(model.named_parameters())
        gradients = torch.autograd.grad(tokens.sum(), list(named.values()), allow_unused=True)
    idle = {name for name, gradient in zip(named, gradients, strict=True) if gradient is None}
    count, width = tokens.shape[1:]
    if math.isqrt(count) ** 2 != count:
        raise PathPluginsError(
            f"{config.architecture} gives {count} tokens for a tile of {config.image_size} px, which is no square of "
            "them; take another image_size or architecture"
        )
    return replace(
        config,
        hidden_size=width,
        tokens_per_tile=count,
        prefix_tokens=getattr(model, "num_prefix_tokens", 0),
        class_token=transformer and getattr(model, "cls_token", None) is not None,
        unused=_outermost(model, idle),
    )


def new_encoder(config: TimmVisionConfig) -> nn.Module:
    """Build the whole model, untrained.

    Raises:
        PathPluginsError: timm knows no such architecture, or not these arguments of it.
    """
    card = EncoderCard(name=config.architecture, architecture=config.architecture, timm_kwargs=config.model_args)
    try:
        return build_model(card)
    except (RuntimeError, TypeError) as error:  # timm's for an unknown name, Python's for an unknown argument
        raise PathPluginsError(
            f"architecture {config.architecture!r} with model_args {config.model_args} cannot be built: {error}; "
            "correct the names, they are those of timm.create_model"
        ) from error


def is_transformer(model: nn.Module) -> bool:
    """Return whether the model keeps one token per patch through blocks of one width."""
    return hasattr(model, "num_prefix_tokens") and hasattr(model, "blocks")


def cut_behind(model: nn.Module, config: TimmVisionConfig) -> None:
    """Take out all layers behind the selected one.

    Raises:
        PathPluginsError: there is no such layer.
    """
    depth, layer = len(model.feature_info), config.select_layer
    first, last = (-depth, depth) if is_transformer(model) else (-depth, depth - 1)
    if not first <= layer <= last or (is_transformer(model) and layer == 0):
        gone = " but 0" if is_transformer(model) else ""
        raise PathPluginsError(
            f"select_layer must be in [{first}, {last}]{gone} for the {depth} layers of {config.architecture}, got "
            f"{layer}"
        )
    index = (layer - 1 if layer > 0 else depth + layer) if is_transformer(model) else layer % depth
    if index < depth - 1:
        model.prune_intermediate_layers([index], prune_norm=True, prune_head=True)


def patch_tokens(model: nn.Module, output: torch.Tensor) -> torch.Tensor:
    """Return tokens ``[T, N, C]`` of what ``forward_features`` gives: tokens, or a map with its width first or last."""
    if output.ndim == 3:
        return output[:, getattr(model, "num_prefix_tokens", 0) :]
    if getattr(model, "output_fmt", "NCHW") != "NHWC":
        output = output.permute(0, 2, 3, 1)  # [T, h, w, C]
    return output.flatten(1, 2)


def _outermost(model: nn.Module, idle: set[str]) -> list[str]:
    """Return modules all of whose weights are idle, and single idle weights, none below another."""
    found: list[str] = []
    for name, module in model.named_modules():
        weights = {f"{name}.{inner}" if name else inner for inner, _ in module.named_parameters()}
        if name and weights and weights <= idle and not name.startswith(tuple(f"{above}." for above in found)):
            found.append(name)
    return found + sorted(name for name in idle if not name.startswith(tuple(f"{above}." for above in found)))
