"""PA-LLaVA's connector: the thumbnail of an image asks, its tiles answer, N tokens per image whatever its size.

Axes: T tiles of the batch, I images, N tokens per tile, C vision width (and width inside), H width of the language
model, M tiles an image attends to at most, K tiles attended to in all. Packed: an image's thumbnail comes first, then
its tiles.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight

EPS = 1e-12
"""Epsilon of every LayerNorm, as in BERT."""


class ScaleInvariantConnector(nn.Module):
    """BERT layers over the thumbnail's tokens, with cross-attention to the tiles, then linear layers (PA-LLaVA).

    ``x = norm(thumbnail)``; per layer self-attention, cross-attention, feed-forward, each with its residual and then
    a norm; then ``mlp(norm(x + thumbnail))``. An image that is one tile has nothing to attend to: its cross-attention
    gives 0, so that the layer's bias, residual and norm are what is left.

    Costs, in multiply-adds per image of m tiles beside the thumbnail, L layers, feed-forward width F:
    ``L N (6 C^2 + 2 C F) + 2 L m N C^2 + 2 L N^2 C (1 + m) + N C H``. As released (L 6, N 196, C 768, F 3072, H 4096)
    that is 10.7e9 and 1.74e9 more per tile; to encode a tile takes ViT-B/16 16e9.

    The published code, run on Transformers 4, silently drops the cross-attention: no tile reaches the language model.
    Weights trained so need ``cross_attention=False``; which they are, their names tell
    (`pathplugins.models.compose.projector.projector_options`).

    Source: https://github.com/ddw2AIGROUP2CQUPT/PA-LLaVA at 99d7ac1; the computation follows it, no code does.

    Args:
        in_features: C, width of the vision tokens; a multiple of ``num_attention_heads``.
        out_features: H, width of the language model.
        num_hidden_layers: layers.
        cross_attention_freq: every how many layers, from the first on, one has cross-attention.
        projector_depth: linear layers after the last norm, with GELU between them.
        num_attention_heads: heads of either attention.
        intermediate_size: width between the two linears of the feed-forward part.
        dropout: of attention weights and before each residual, while training.
        cross_attention: False for weights trained without.
        compat_mask: as published, an image with fewer tiles than the batch's most sees its last tile twice, so that
            its tokens depend on the images beside it.
    """

    across_tiles = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        num_hidden_layers: int = 6,
        cross_attention_freq: int = 1,
        projector_depth: int = 1,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        dropout: float = 0.1,
        cross_attention: bool = True,
        compat_mask: bool = False,
    ) -> None:
        super().__init__()
        counts = {
            "num_hidden_layers": num_hidden_layers,
            "cross_attention_freq": cross_attention_freq,
            "projector_depth": projector_depth,
            "num_attention_heads": num_attention_heads,
            "intermediate_size": intermediate_size,
        }
        for name, value in counts.items():
            if value < 1:
                raise PathPluginsError(f"{name} must be at least 1, got {value}")
        if in_features % num_attention_heads:
            raise PathPluginsError(
                f"the scale_invariant connector is as wide as the vision tokens, {in_features}, which "
                f"num_attention_heads={num_attention_heads} does not divide; set it to a number that does"
            )
        self.cross_attention, self.compat_mask = cross_attention, compat_mask
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(
                in_features,
                num_attention_heads,
                intermediate_size,
                dropout,
                crosses=cross_attention and index % cross_attention_freq == 0,
            )
            for index in range(num_hidden_layers)
        )
        self.norm = LayerNorm(in_features, eps=EPS)
        linears = [nn.Linear(in_features, out_features)]
        linears += [nn.Linear(out_features, out_features) for _ in range(projector_depth - 1)]
        self.mlp = nn.Sequential(*[part for linear in linears for part in (nn.GELU(), linear)][1:])

    def forward(self, tokens: Tensor, tile_counts: list[int]) -> Tensor:
        """Merge the tiles of each image.

        Args:
            tokens: Packed tokens ``[T, N, C]``, any float type.
            tile_counts: Tiles of each image, the thumbnail included; they add up to T.

        Returns:
            ``[I, N, H]``.
        """
        if not tile_counts or min(tile_counts) < 1 or sum(tile_counts) != len(tokens):
            raise ValueError(
                f"tile_counts {tile_counts} (each at least 1) must add up to the {len(tokens)} tiles of the batch"
            )
        tokens = like_weight(tokens, self.layers[0].attention.query)
        firsts = [0, *accumulate(tile_counts)][:-1]
        thumbnails = tokens.index_select(0, torch.tensor(firsts, device=tokens.device))  # [I, N, C]
        tiles = _tiles_of(tokens, firsts, tile_counts, compat=self.compat_mask) if self.cross_attention else None
        x = self.dropout(F.layer_norm(thumbnails, thumbnails.shape[-1:], eps=EPS))
        for layer in self.layers:
            x = layer(x, tiles)
        return self.mlp(self.norm(x + thumbnails))


class Tiles(NamedTuple):
    """What the thumbnails attend to."""

    tokens: Tensor
    """``[K, N, C]``, without padding."""
    places: Tensor | None
    """``[K]``, where each tile belongs among I * M; None when all images have as many tiles."""
    mask: Tensor | None
    """``[I, 1, 1, M * N]``, True where there is something to see; None where everything is."""
    weight: Tensor | None
    """``[I, 1, 1]``, 0 for an image without tiles; None when there is none such."""

    def per_image(self, projected: Tensor, images: int) -> Tensor:
        """Gather ``[K, N, C]`` to ``[I, M * N, C]``, filled up with zeros."""
        n, width = projected.shape[1:]
        if self.places is not None:
            places = images * self.mask.shape[-1] // n
            projected = projected.new_zeros(places, n, width).index_copy(0, self.places, projected)  # [I * M, N, C]
        return projected.reshape(images, -1, width)


def _tiles_of(tokens: Tensor, firsts: list[int], tile_counts: list[int], *, compat: bool) -> Tiles:
    """Take the tiles of each image out of the packed ``[T, N, C]``.

    An image of one tile gets this very tile with a weight of 0: softmax over nothing is not a number, and with nothing
    to multiply some weights would be left without a gradient, which DDP waits for.
    """
    most, device = max(tile_counts), tokens.device
    rows = [list(range(first + 1, first + count)) for first, count in zip(firsts, tile_counts, strict=True)]
    if compat:  # upstream counts the thumbnail among the tiles its mask lets through
        last = [first + count - 1 for first, count in zip(firsts, tile_counts, strict=True)]
        rows = [[*own, end] if len(own) + 1 < most else own for own, end in zip(rows, last, strict=True)]
    weights = [float(bool(own)) for own in rows]
    weight = None if all(weights) else torch.tensor(weights, device=device, dtype=tokens.dtype).view(-1, 1, 1)
    rows = [own or [first] for own, first in zip(rows, firsts, strict=True)]
    flat = tokens.index_select(0, torch.tensor([row for own in rows for row in own], device=device))  # [K, N, C]
    lengths = [len(own) for own in rows]
    longest = max(lengths)
    if min(lengths) == longest:
        return Tiles(flat, None, None, weight)
    places = [image * longest + slot for image, n in enumerate(lengths) for slot in range(n)]
    seen = torch.tensor([[slot < n for slot in range(longest)] for n in lengths], device=device)  # [I, M]
    mask = seen.repeat_interleave(tokens.shape[1], 1)[:, None, None]  # [I, 1, 1, M * N]
    return Tiles(flat, torch.tensor(places, device=device), mask, weight)


class Attention(nn.Module):
    """Multi-head attention with its residual and the norm after it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.dense = (nn.Linear(width, width) for _ in range(4))
        self.norm = LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tiles: Tiles | None = None) -> Tensor:
        """Let ``[I, N, C]`` attend to itself, or to the tiles of its image; the shape stays."""
        q, k, v = self.query(x), *(part(x if tiles is None else tiles.tokens) for part in (self.key, self.value))
        if tiles is not None:
            k, v = (tiles.per_image(part, len(x)) for part in (k, v))  # [I, M * N, C]
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))  # [I, heads, *, C/heads]
        dropout = self.dropout.p if self.training else 0.0
        mask = None if tiles is None else tiles.mask
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout).transpose(1, 2).flatten(2)
        if tiles is not None and tiles.weight is not None:
            mixed = mixed * tiles.weight
        return self.norm(x + self.dropout(self.dense(mixed)))  # [I, N, C]


class FeedForward(nn.Module):
    """Two linears with an exact GELU between them, their residual and the norm after it."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.intermediate, self.dense = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm = LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``[I, N, C]``; the shape stays."""
        return self.norm(x + self.dropout(self.dense(F.gelu(self.intermediate(x)))))


class Layer(nn.Module):
    """Self-attention, cross-attention where there is any, feed-forward."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float, *, crosses: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.cross_attention = Attention(width, heads, dropout) if crosses else None
        self.feed_forward = FeedForward(width, inner, dropout)

    def forward(self, x: Tensor, tiles: Tiles | None) -> Tensor:
        """Transform ``[I, N, C]``; the shape stays."""
        x = self.attention(x)
        if self.cross_attention is not None:
            x = self.cross_attention(x, tiles)
        return self.feed_forward(x)
