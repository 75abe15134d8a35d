"""GigaPath's slide encoder (LongNetViT): the patch features of a slide in, slide and patch tokens out.

Bags are ragged and packed. Axes: B bags, T = sum of N patches, L = T + B tokens (each bag's CLS first),
C ``embed_dim``, D ``in_chans``. Coordinates are (x, y) in pixels of the tiled level, which is 0.5 microns per pixel
for the released weights: neither level-0 pixels nor (row, column).

The released CLS token was not trained in pre-training (the authors say so): choosing patches by its attention
starts from an untrained query.

Source: https://github.com/prov-gigapath/prov-gigapath at 09d8e87; the computation follows it, no code does.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.towers.dilated_attention import dilated_attention

RELEASED_WIDTHS = (768, 1024, 1536)
"""Widths of enc12l768d, enc24l1024d and enc12l1536d; all have 16 heads, which no tensor shape tells."""

FFN_ROWS_CPU = 1024
"""Tokens the feed-forward part takes at a time on the CPU when no gradient is asked for."""
PROBES = ("patch_embed.proj.weight", "encoder.layers.0.ffn.fc1.weight")
"""Tensors whose shapes give the widths of an encoder."""
PRETRAINING_ONLY = ("decoder", "mask_token")
"""First parts of the names of tensors that pre-training leaves in a file and the encoder has no use for."""


@dataclass(frozen=True, kw_only=True)
class LongNetConfig:
    """Shape of a slide encoder; the defaults are the released ``gigapath_slide_enc12l768d``."""

    in_chans: int = 1536
    """Width of the patch features."""
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 16
    mlp_ratio: float = 4.0
    segment_lengths: tuple[int, ...] = (1024, 5792, 32768, 185363, 1048576)
    """Tokens per segment, one entry per branch: int(2 ** linspace(10, 20, 5))."""
    dilated_ratios: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Every how many tokens a head looks, one entry per branch."""
    tile_size: int = 256
    """Side of a grid cell in pixels of the tiled level."""
    grid_size: int = 1000
    """Grid cells per side; the weights know no position beyond."""
    dropout: float = 0.0
    """In training only. Upstream trains with 0.25; 0 here because the tower is usually frozen."""
    drop_path_rate: float = 0.0
    """Stochastic depth per bag, in training only, rising linearly over the layers. Upstream trains with 0.1."""

    def __post_init__(self) -> None:
        for name in ("segment_lengths", "dilated_ratios"):  # JSON has lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio", "tile_size", "grid_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.embed_dim % self.num_heads or self.embed_dim % 4:
            raise ValueError(f"embed_dim must be a multiple of num_heads={self.num_heads} and 4, got {self.embed_dim}")
        lengths, ratios = self.segment_lengths, self.dilated_ratios
        if not lengths or len(lengths) != len(ratios):
            raise ValueError(f"one dilated ratio per segment length is needed, got {lengths} and {ratios}")
        if any(ratio < 1 or length < ratio for length, ratio in zip(lengths, ratios, strict=True)):
            raise ValueError(f"ratios must be in [1, segment length], got segment_lengths {lengths}, ratios {ratios}")
        for name in ("dropout", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def ffn_dim(self) -> int:
        """Width between the two linears of the feed-forward part."""
        return round(self.embed_dim * self.mlp_ratio)


def patch_positions(coords_xy: Tensor, *, tile_size: int, grid_size: int) -> Tensor:
    """Position index of each patch, column * ``grid_size`` + row + 1; 0 is the CLS token. ``[T, 2]`` to ``[T]``."""
    cells = torch.div(coords_xy, tile_size, rounding_mode="floor")  # [T, 2], (column, row)
    outside = ~((cells >= 0) & (cells < grid_size)).all(-1)
    if outside.any():
        first = int(outside.nonzero()[0])
        x, y = coords_xy[first].tolist()
        raise PathPluginsError(
            f"{int(outside.sum())} of {len(coords_xy)} patches lie off the grid, first patch {first} at "
            f"(x, y) = ({x}, {y}); wanted 0 <= x, y < {grid_size * tile_size} ({grid_size} cells of {tile_size} px): "
            "give (x, y) in pixels of the tiled level (0.5 microns per pixel for GigaPath; level-0 pixels of a "
            "40x slide are twice that), relative to the slide's corner, or drop these patches"
        )
    return (cells[:, 0] * grid_size + cells[:, 1]).long() + 1


def _position_rows(positions: Tensor, config: LongNetConfig, dtype: torch.dtype) -> Tensor:
    """Rows [sin y, cos y, sin x, cos x] of the fixed position table, without the table. ``[T]`` to ``[T, C]``."""
    quarter = config.embed_dim // 4
    frequencies = 10000.0 ** -(torch.arange(quarter, dtype=torch.float64, device="cpu") / quarter)
    angles = torch.arange(config.grid_size, dtype=torch.float64, device="cpu").outer(frequencies)  # [grid, C / 4]
    axis = torch.cat([angles.sin(), angles.cos()], 1).to(positions.device, dtype)  # [grid, C / 2]
    cells = positions - 1
    column, row = cells // config.grid_size, cells % config.grid_size
    return torch.cat([axis[row], axis[column]], 1)


class LayerNorm(nn.LayerNorm):
    """LayerNorm in float32 whatever the type of its input and weights, which hosts may set apart."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis; the type of ``x`` is kept."""
        exact = torch.promote_types(x.dtype, torch.float32)
        weight, bias = self.weight.to(exact), self.bias.to(exact)
        return F.layer_norm(x.to(exact), self.normalized_shape, weight, bias, self.eps).to(x.dtype)


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
        """Packed tokens ``[L, C]`` of bags of ``lengths`` tokens to the same shape."""
        heads = (proj(x).unflatten(-1, (self.config.num_heads, -1)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        mixed = [self.mix(*qkv).flatten(1) for qkv in zip(*(x.split(lengths) for x in heads), strict=True)]
        return self.out_proj(self.inner_attn_ln(torch.cat(mixed) if len(mixed) > 1 else mixed[0]))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention inside one bag, ``[N + 1, heads, C / heads]`` to the same shape."""
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
        """``[L, C]`` to ``[L, C]``."""
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
        """Packed tokens ``[L, C]`` of bags of ``lengths`` tokens to the same shape."""
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

    def forward(self, x: Tensor, lengths: tuple[int, ...], *, stop_after: int | None = None) -> Tensor:
        """``[L, C]`` after all layers and the last LayerNorm, or after ``stop_after`` layers without it."""
        for layer in list(self.layers)[:stop_after]:
            call = partial(self._gradient_checkpointing_func, layer.__call__) if self._checkpoints(layer, x) else layer
            x = call(x, lengths)
        return self.layer_norm(x) if stop_after is None else x

    def _checkpoints(self, layer: nn.Module, x: Tensor) -> bool:
        """Whether to recompute ``layer`` in the backward pass; never where there is none, as in a frozen tower."""
        asked = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        return asked and (x.requires_grad or any(p.requires_grad for p in layer.parameters()))


class PatchEmbed(nn.Module):
    """Linear map of the patch features; a module of its own for the sake of the released names."""

    def __init__(self, config: LongNetConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(config.in_chans, config.embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """``[T, D]`` of any float type to ``[T, C]``."""
        return self.proj(features.to(self.proj.weight.dtype))


class LongNetViT(nn.Module):
    """Slide encoder over packed bags; parameter names are those of the released checkpoints."""

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
        sizes, config = self._check(features, coords_xy, counts), self.config
        stop_after = self._stop_after(select_layer)
        positions = patch_positions(coords_xy, tile_size=config.tile_size, grid_size=config.grid_size)  # [T]
        x = self.patch_embed(features) + _position_rows(positions, config, self.cls_token.dtype)  # [T, C]
        cls_token = self.cls_token[0]  # [1, C]; its position row is zero
        x = torch.cat([part for bag in x.split(sizes) for part in (cls_token, bag)])  # [L, C]
        x = F.dropout(x, config.dropout, self.training)
        lengths = tuple(size + 1 for size in sizes)
        x = self.norm(self.encoder(x, lengths, stop_after=stop_after))
        bags = x.split(lengths)
        return torch.stack([bag[0] for bag in bags]), torch.cat([bag[1:] for bag in bags])

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


def config_from_state_dict(state: Mapping[str, Tensor], *, num_heads: int | None = None) -> LongNetConfig:
    """Read the configuration off the shapes of a bare state dict; ``num_heads`` is 16 for the released widths."""
    shapes = [tuple(state[name].shape) if name in state else () for name in PROBES]
    if [len(shape) for shape in shapes] != [2, 2]:
        raise CheckpointError(f"no slide encoder: wanted matrices {PROBES}, got {shapes}; tensors: {_few(list(state))}")
    (embed_dim, in_chans), (ffn_dim, _) = shapes
    if num_heads is None and embed_dim not in RELEASED_WIDTHS:
        raise CheckpointError(
            f"the number of heads cannot be told from weights {embed_dim} wide (16 is known for {RELEASED_WIDTHS} "
            "only): pass num_heads"
        )
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.layers.")}
    return LongNetConfig(
        in_chans=in_chans,
        embed_dim=embed_dim,
        depth=len(layers),
        num_heads=num_heads or 16,
        mlp_ratio=ffn_dim / embed_dim,
    )


def load_slide_encoder(path: str | Path, *, num_heads: int | None = None) -> tuple[LongNetConfig, dict[str, Tensor]]:
    """Read slide encoder weights from a file and check that they are whole.

    Tensors may lie under ``model`` or ``state_dict`` and behind one common prefix (``module.``, ``slide_encoder.``);
    tensors beside that prefix belong to other modules and are left out, like the decoder of pre-training.

    Returns:
        The configuration and a state dict that loads with ``strict=True``.

    Raises:
        CheckpointError: The file is not readable, or not exactly one slide encoder.
    """
    path = Path(path)
    state = _without_prefix(_read_tensors(path), path)
    try:
        config = config_from_state_dict(state, num_heads=num_heads)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in LongNetViT(config).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    problems = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": [name for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]],
    }
    if any(problems.values()):
        report = "; ".join(f"{len(names)} {kind}: {_few(names)}" for kind, names in problems.items() if names)
        raise CheckpointError(
            f"{path}: {len(found)} tensors read, {len(wanted)} wanted: {report}; weights are taken "
            "whole or not at all: check that the download is complete and the right file"
        )
    return config, state


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """All named tensors of a file, below ``model`` or ``state_dict`` where there is such a level."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of slide_encoder.pth")
    with path.open("rb") as file:
        head = file.read(24)
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a Git LFS pointer, not the weights; run `git lfs pull` where it was cloned")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path}: not a whole safetensors file ({error}); download it again") from error
    if not head.startswith((b"PK", b"\x80")):  # a zip archive or, before PyTorch 1.6, a bare pickle
        raise CheckpointError(f"{path}: not a PyTorch file, it begins with {head!r}; download it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: damaged, or holds Python objects besides tensors ({type(error).__name__}); download it again, or "
            "re-save its state dict alone"
        ) from error
    for level in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(level), Mapping):
            content = content[level]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: wanted a dictionary of tensors, got a {type(content).__name__}")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _without_prefix(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The encoder's own tensors under their bare names."""
    prefixes = sorted(name.removesuffix(PROBES[1]) for name in state if f".{name}".endswith(f".{PROBES[1]}"))
    if len(prefixes) != 1:
        raise CheckpointError(
            f"{path}: wanted one slide encoder, found {len(prefixes)} (prefixes {prefixes}) among {len(state)} "
            f"tensors: {_few(list(state))}; re-save the state dict of the encoder alone"
        )
    bare = {name[len(prefixes[0]) :]: tensor for name, tensor in state.items() if name.startswith(prefixes[0])}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(PRETRAINING_ONLY)}


def _few(names: list[str]) -> str:
    """The first names of a list that may be long."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
