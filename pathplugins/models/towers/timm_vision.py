"""Any patch encoder of timm as a vision tower: tiles of an image in, one class token and N patch tokens per tile out.

Axes: T tiles, S side of a tile in pixels, N patch tokens per tile, P class and register tokens, C ``hidden_size``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers.cls_attention import ClsAttention, attention_of, input_of, resolve_layer
from pathplugins.models.towers.timm_config import (
    TimmVisionConfig,
    cut_behind,
    is_transformer,
    new_encoder,
    patch_tokens,
    resolved,
)
from pathplugins.models.towers.timm_norms import ChannelAffine, rename_scales, take_any_type
from pathplugins.published.preprocessing import Preprocess


def timm_vision(options: dict[str, Any]) -> TimmVisionTower:
    """Build the tower of ``vision_config``; nothing is fetched."""
    return TimmVisionTower(resolved(TimmVisionConfig(**options)))


class TimmVisionTower(nn.Module):
    """A model of timm up to the selected layer; below ``encoder`` the names are timm's, but for scales."""

    reads = "images"
    gradient_checkpointing = False
    """Transformers sets it; timm's models know how to."""

    def __init__(self, config: TimmVisionConfig) -> None:
        super().__init__()
        self.config = config
        encoder = new_encoder(config)
        cut_behind(encoder, config)
        for name in config.unused or ():
            owner, _, last = name.rpartition(".")
            part = encoder.get_submodule(owner)
            setattr(part, last, nn.Identity() if isinstance(getattr(part, last), nn.Module) else None)
        take_any_type(encoder)
        rename_scales(encoder)
        self.encoder = _giving_tokens(encoder)
        for module in self.encoder.modules():
            if hasattr(module, "_init_weights"):  # timm's; Transformers 4.52 takes it for a model of its own
                module._initialize_weights = _left_as_loaded

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.hidden_size

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return self.config.image_size

    @property
    def tokens_per_tile(self) -> int:
        """Patch tokens of a tile."""
        return self.config.tokens_per_tile

    @property
    def preprocess(self) -> Preprocess:
        """What the image processor of a model with this tower does."""
        return self.config.preprocess

    def reset_parameters(self) -> None:
        """Draw the weights that belong to no linear or norm, and number what no checkpoint holds."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = math.prod(module.kernel_size) * module.in_channels // module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, ChannelAffine):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif not isinstance(module, nn.Linear | nn.LayerNorm):
                for name, weight in module.named_parameters(recurse=False):
                    if "factor" in name:  # of a layer scale
                        nn.init.constant_(weight, getattr(module, "init_values", 1.0))
                    else:
                        nn.init.normal_(weight, std=0.02)
        self._restore_buffers()

    def _restore_buffers(self) -> None:
        """Compute the buffers of no checkpoint anew: Transformers 5 builds models without memory, which loses them."""
        lost = [
            f"{name}.{buffer}" if name else buffer
            for name, module in self.encoder.named_modules()
            for buffer in module._non_persistent_buffers_set
        ]
        if not lost:
            return
        with torch.device("cpu"):
            fresh = dict(new_encoder(self.config).named_buffers())
        for name in lost:
            owner, _, buffer = name.rpartition(".")
            module = self.encoder.get_submodule(owner)
            if getattr(module, buffer) is not None:
                at = next(self.parameters()).device
                module.register_buffer(buffer, fresh[name].to(at), persistent=False)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tiles.

        Args:
            pixel_values: Normalised tiles ``[T, 3, S, S]``, any float type.

        Returns:
            The class tokens ``[T, C]``, the mean of the patch tokens where there is none, and the patch tokens
            ``[T, N, C]``, row by row.

        Raises:
            ValueError: The tiles are of another size.
        """
        wanted = (3, self.tile_size, self.tile_size)
        if pixel_values.shape[1:] != wanted:
            raise ValueError(
                f"the vision tower reads tiles {wanted} (channels, height, width), got pixel_values "
                f"{tuple(pixel_values.shape)}; take the image processor of the same model directory"
            )
        if hasattr(self.encoder, "set_grad_checkpointing"):
            learns = any(parameter.requires_grad for parameter in self.parameters())
            self.encoder.set_grad_checkpointing(self.gradient_checkpointing and self.training and learns)
        weight = next(parameter for parameter in self.parameters() if parameter.is_floating_point())
        output = self.encoder(pixel_values.to(weight.dtype))  # [T, P + N, C], or a map
        tokens = patch_tokens(self.encoder, output)  # [T, N, C]
        return output[:, 0] if self.config.class_token else tokens.mean(1), tokens

    def attend(self, pixel_values: Tensor, *, layer: int | None = None) -> tuple[Tensor, Tensor, ClsAttention]:
        """Encode as `forward`, and return where class tokens look in ``layer``; None is the last one that runs."""
        block = self.looking(layer)
        with input_of(block) as seen:
            cls, tokens = self(pixel_values)
        query, key, _ = block.attn.qkv(block.norm1(seen[0])).chunk(3, dim=-1)  # each [T, P + N, C]
        return cls, tokens, attention_of(query[:, :1], key, prefix=self.config.prefix_tokens)

    def looking(self, layer: int | None) -> nn.Module:
        """Return the block of ``layer``, in which `attend` looks.

        Raises:
            PathPluginsError: The model has no class token, no attention that can be read, or no such layer.
        """
        if not (is_transformer(self.encoder) and self.config.class_token):
            raise PathPluginsError(
                f"{self.config.architecture} has no class token whose attention a selector could follow; set "
                "vision_feature_select_mode to none, random_sample or prompt_topk"
            )
        block = self.encoder.blocks[resolve_layer(layer, len(self.encoder.blocks))]
        plain = isinstance(getattr(block.attn, "q_norm", None), nn.Identity) and block.attn.qkv is not None
        if not plain or getattr(self.encoder, "rope", None) is not None:
            raise PathPluginsError(
                f"{self.config.architecture} has attention of another form than timm's ViT; set "
                "vision_feature_select_mode to none, random_sample or prompt_topk"
            )
        return block


def _left_as_loaded(module: nn.Module) -> None:
    """Draw nothing: weights come from a checkpoint, all of them, or were drawn by timm."""


def _giving_tokens(encoder: nn.Module) -> nn.Module:
    """Let the model's own ``forward`` give its tokens.

    Called by another method its weights would be missing under ZeRO-3, which fetches them when ``forward`` begins.
    """
    own = type(encoder)
    encoder.__class__ = type(own.__name__, (own,), {"forward": own.forward_features, "__module__": own.__module__})
    return encoder
