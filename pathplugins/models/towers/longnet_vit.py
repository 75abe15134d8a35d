"""GigaPath's slide encoder (LongNetViT): the patch features of a slide in, slide and patch tokens out.

Bags are ragged and packed. Axes: B bags, T = sum of N patches, L = T + B tokens (each bag's CLS first),
C ``embed_dim``, D ``in_chans``. Coordinates are (x, y) in pixels of the tiled level, which is 0.5 microns per pixel
for the released weights: neither level-0 pixels nor (row, column).

The released CLS token was not trained in pre-training (the authors say so): choosing patches by its attention
starts from an untrained query.

Source: https://github.com/prov-gigapath/prov-gigapath at 09d8e87; the computation follows it, no code does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight
from pathplugins.models.towers.cls_attention import ClsAttention, cls_attention, resolve_layer
from pathplugins.models.towers.dilated_attention import dilated_attention
from pathplugins.models.towers.longnet_config import LongNetConfig
from pathplugins.published.slide_encoders import GIGAPATH

FFN_ROWS_CPU = 1024
"""Tokens the feed-forward part takes at a time on the CPU when no gradient is asked for."""


def patch_positions(coords_xy: Tensor, *, tile_size: int, grid_size: int) -> Tensor:
    """Return the cell of each patch, column * ``grid_size`` + row + 1; 0 is the CLS token. ``[T, 2]`` to ``[T]``."""
    cells = torch.div(coords_xy, tile_size, rounding_mode="floor")  # [T, 2], (column, row)
    outside = ~((cells >= 0) & (cells < grid_size)).all(-1)
    if outside.any():
        first = int(outside.nonzero()[0])
        x, y = coords_xy[first].tolist()
        raise PathPluginsError(
            f"{int(outside.sum())} of {len(coords_xy)} patches lie off the grid, first patch {first} at "
            f"(x, y) = ({x}, {y}); wanted 0 <= x, y < {grid_size * tile_size} ({grid_size} cells of {tile_size} px): "
            f"give (x, y) in pixels of the tiled level ({GIGAPATH.frame_mpp} microns per pixel for GigaPath; level-0 "
            "pixels of a 40x slide are twice that), relative to the slide's corner, or drop these patches"
        )
    return (cells[:, 0] * grid_size + cells[:, 1]).long() + 1


def _position_rows(positions: Tensor, config: LongNetConfig, dtype: torch.dtype) -> Tensor:
    """Compute rows [sin y, cos y, sin x, cos x] of the fixed position table alone. ``[T]`` to ``[T, C]``."""
    quarter = config.embed_dim // 4
    frequencies = 10000.0 ** -(torch.arange(quarter, dtype=torch.float64, device="cpu") / quarter)
    angles = torch.arange(config.grid_size, dtype=torch.float64, device="cpu").outer(frequencies)  # [grid, C / 4]
    axis = torch.cat([angles.sin(), angles.cos()], 1).to(positions.device, dtype)  # [grid, C / 2]
    cells = positions - 1
    column, row = cells // config.grid_size, cells % config.grid_size
    return torch.cat([axis[row], axis[column]], 1)


class SelfAttention(nn.Module):
    """Dilated multi-head attention, each bag for itself."""

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.config = config
        self.q_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.k_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.v_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.inner_attn_ln = LayerNorm(config.embed_dim, eps=1e-5)
        self.out_proj = nn.Linear(config.embed_dim, config.embed_dim)

    def forward(self, x: Tensor, lengths: tuple[int, ...]) -> Tensor:
        """Transform packed tokens ``[L, C]`` of bags of ``lengths`` tokens; the shape stays."""
        heads = (proj(x).unflatten(-1, (self.config.num_heads, -1)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        mixed = [self.mix(*qkv).flatten(1) for qkv in zip(*(x.split(lengths) for x in heads), strict=True)]
        return self.out_proj(self.inner_attn_ln(torch.cat(mixed) if len(mixed) > 1 else mixed[0]))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend inside one bag, ``[N + 1, heads, C / heads]``; the shape stays."""
        config = self.config
        return dilated_attention(q, k, v, segment_lengths=config.segment_lengths, ratios=config.dilated_ratios)


class FeedForward(nn.Module):
    """Two linears with an exact GELU and a LayerNorm between them."""

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.embed_dim, config.ffn_dim)
        self.ffn_layernorm = LayerNorm(config.ffn_dim, eps=1e-5)
        self.fc2 = nn.Linear(config.ffn_dim, config.embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``[L, C]``; the shape stays."""
        if x.is_cpu and not torch.is_grad_enabled():  # fresh pages for [L, F] would cost a sixth of the layer's time
            return torch.cat([self._transform(rows) for rows in x.split(FFN_ROWS_CPU)])
        return self._transform(x)

    def _transform(self, x: Tensor) -> Tensor:
        return self.fc2(self.ffn_layernorm(F.gelu(self.fc1(x))))


class EncoderLayer(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual."""

    def __init__(self, config: LongNetConfig, index: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.self_attn_layer_norm = LayerNorm(config.embed_dim, eps=1e-5)
        self.ffn = FeedForward(config)
        self.final_layer_norm = LayerNorm(config.embed_dim, eps=1e-5)
        self.dropout = config.dropout
        self.drop_path_rate = config.drop_path_rate * index / max(1, config.depth - 1)

    def forward(self, x: Tensor, lengths: tuple[int, ...]) -> Tensor:
        """Transform packed tokens ``[L, C]`` of bags of ``lengths`` tokens; the shape stays."""
        x = x + self._drop(self.self_attn(self.self_attn_layer_norm(x), lengths), lengths)
        return x + self._drop(self.ffn(self.final_layer_norm(x)), lengths)

    def _drop(self, x: Tensor, lengths: tuple[int, ...]) -> Tensor:
        x = F.dropout(x, self.dropout, self.training)
        if not self.training or not self.drop_path_rate:
            return x
        kept = x.new_empty(len(lengths), 1).bernoulli_(1 - self.drop_path_rate) / (1 - self.drop_path_rate)
        return x * kept.repeat_interleave(torch.tensor(lengths, device=x.device), 0)  # [L, C], one draw per bag


class Encoder(nn.Module):
    """The stack of layers; checkpoints activations the Transformers way when a host asks for it."""

    gradient_checkpointing = False
    _gradient_checkpointing_func: Callable[..., Any]

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.depth))
        self.layer_norm = LayerNorm(config.embed_dim, eps=1e-5)

    def forward(
        self, x: Tensor, lengths: tuple[int, ...], *, stop_after: int | None = None, look_at: int | None = None
    ) -> tuple[Tensor, ClsAttention | None]:
        """Return ``[L, C]`` after all layers and the last LayerNorm, or after ``stop_after`` layers without it.

        With ``look_at`` also where each bag's CLS token looks in that layer, with one head over the whole width.
        """
        seen = None
        for index, layer in enumerate(list(self.layers)[:stop_after]):
            if index == look_at:
                bags = layer.self_attn_layer_norm(x).split(lengths)
                q_proj, k_proj = layer.self_attn.q_proj, layer.self_attn.k_proj
                each = [cls_attention(bag[None], q_proj, k_proj) for bag in bags]
                seen = ClsAttention(torch.cat([a for a, _ in each]), torch.cat([k for _, k in each]))
            call = partial(self._gradient_checkpointing_func, layer.__call__) if self._checkpoints(layer, x) else layer
            x = call(x, lengths)
        return (self.layer_norm(x) if stop_after is None else x), seen

    def _checkpoints(self, layer: nn.Module, x: Tensor) -> bool:
        """Return whether to recompute ``layer`` in the backward pass, which a frozen tower does not have."""
        asked = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        return asked and (x.requires_grad or any(p.requires_grad for p in layer.parameters()))


class PatchEmbed(nn.Module):
    """Linear map of the patch features; a module of its own for the sake of the released names."""

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(config.in_chans, config.embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[T, D]`` of any float type to ``[T, C]``."""
        return self.proj(like_weight(features, self.proj))


class LongNetViT(nn.Module):
    """Slide encoder over packed bags; parameter names are those of the released checkpoints."""

    reads = "bags"

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.embed_dim))
        self.patch_embed = PatchEmbed(config)
        self.encoder = Encoder(config)
        self.norm = LayerNorm(config.embed_dim, eps=1e-6)
        self.reset_parameters()

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.embed_dim

    def reset_parameters(self) -> None:
        """Draw the one parameter that belongs to no submodule; linears and norms have their own way."""
        nn.init.normal_(self.cls_token, std=0.02)

    def attend(
        self, features: Tensor, coords_xy: Tensor, counts: Tensor, *, layer: int | None = None
    ) -> tuple[Tensor, Tensor, ClsAttention]:
        """Encode as `forward` does, and return where the CLS token looks in ``layer``; None is the last one."""
        return self._encode(features, coords_xy, counts, None, self.looking(layer))

    def looking(self, layer: int | None) -> int:
        """Return the number of ``layer``, in which `attend` looks; raises ``PathPluginsError`` if there is none."""
        return resolve_layer(layer, self.config.depth)

    def forward(
        self, features: Tensor, coords_xy: Tensor, counts: Tensor, *, select_layer: int = -1
    ) -> tuple[Tensor, Tensor]:
        """Encode bags packed one after another.

        Args:
            features: Patch features ``[T, D]``, any float type.
            coords_xy: Top-left corners ``[T, 2]``, (x, y) in pixels of the tiled level.
            counts: Patches of each bag ``[B]``; they add up to T.
            select_layer: -1 for the plain output. Any other index counts as upstream's ``all_layer_embed`` does: 0 is
                the input of the first layer, i the output of layer i, -2 that of the last layer but one. The outer
                ``norm`` is applied to all, ``encoder.layer_norm`` to the plain output only, so index ``depth``
                differs from -1. Layers that are not needed do not run.

        Returns:
            The slide token of each bag ``[B, C]`` and the patch tokens ``[T, C]``.
        """
        return self._encode(features, coords_xy, counts, self._stop_after(select_layer), None)[:2]

    def unnormed(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> Tensor:
        """Encode as `forward` does and return the patch tokens ``[T, C]`` before the outer ``norm``."""
        x, lengths, _ = self._encoded(features, coords_xy, counts, None, None)
        return torch.cat([bag[1:] for bag in x.split(lengths)])

    def _encode(
        self, features: Tensor, coords_xy: Tensor, counts: Tensor, stop_after: int | None, look_at: int | None
    ) -> tuple[Tensor, Tensor, ClsAttention | None]:
        x, lengths, seen = self._encoded(features, coords_xy, counts, stop_after, look_at)
        bags = self.norm(x).split(lengths)
        return torch.stack([bag[0] for bag in bags]), torch.cat([bag[1:] for bag in bags]), seen

    def _encoded(
        self, features: Tensor, coords_xy: Tensor, counts: Tensor, stop_after: int | None, look_at: int | None
    ) -> tuple[Tensor, tuple[int, ...], ClsAttention | None]:
        sizes, config = self._check(features, coords_xy, counts), self.config
        positions = patch_positions(coords_xy, tile_size=config.tile_size, grid_size=config.grid_size)  # [T]
        x = self.patch_embed(features) + _position_rows(positions, config, self.cls_token.dtype)  # [T, C]
        cls_token = self.cls_token[0]  # [1, C]; its position row is zero
        x = torch.cat([part for bag in x.split(sizes) for part in (cls_token, bag)])  # [L, C]
        x = F.dropout(x, config.dropout, self.training)
        lengths = tuple(size + 1 for size in sizes)
        x, seen = self.encoder(x, lengths, stop_after=stop_after, look_at=look_at)  # [L, C]
        return x, lengths, seen

    def _check(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> list[int]:
        sizes = counts.tolist()
        t, width = sum(sizes), self.config.in_chans
        if not sizes or min(sizes) < 1 or features.shape != (t, width) or coords_xy.shape != (t, 2):
            raise ValueError(
                f"packed bags do not fit together: counts {sizes} (each at least 1) add up to {t}, so features must be "
                f"({t}, {width}) and coords_xy ({t}, 2); got {tuple(features.shape)} and {tuple(coords_xy.shape)}"
            )
        return sizes

    def _stop_after(self, select_layer: int) -> int | None:
        depth = self.config.depth
        if not -depth - 1 <= select_layer <= depth:
            raise ValueError(f"select_layer must be in [{-depth - 1}, {depth}] for {depth} layers, got {select_layer}")
        return None if select_layer == -1 else select_layer % (depth + 1)
