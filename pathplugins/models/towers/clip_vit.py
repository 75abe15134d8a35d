"""CLIP's vision transformer: tiles of an image in, one class token and N patch tokens per tile out.

Axes: T tiles, S side of a tile in pixels, N patch tokens per tile, C ``hidden_size``.

The modules are those of Transformers; their names and our own forward are the same in every version, while the
classes around them are not (from 5.6 on the keys lose a prefix, and weights read by the other names are lost silently).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig as TransformersConfig
from transformers import CLIPVisionModel

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm
from pathplugins.models.towers.cls_attention import ClsAttention, cls_attention, input_of, resolve_layer


@dataclass(frozen=True, kw_only=True)
class ClipVisionConfig:
    """Shape of a CLIP vision transformer; the defaults are ViT-B/16, which PA-LLaVA's PLIP is."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    """Layers of the released transformer, of which only those up to ``select_layer`` are built."""
    num_attention_heads: int = 12
    image_size: int = 224
    """Side of a tile in pixels."""
    patch_size: int = 16
    """Side of a patch in pixels."""
    num_channels: int = 3
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    select_layer: int = -2
    """Hidden state to give out: 0 is the input of the first layer, i the output of layer i, -2 that of the last but
    one. No layer beyond is built: it would take a twelfth of the time, and DDP waits for unused weights."""
    looks_ahead: bool = False
    """Keep norm, queries and keys of the layer behind the selected one, for a selector that follows its attention, as
    the original LLaVA-PruMerge does (hidden state -2 of 24 layers, attention of layer 23)."""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "image_size", "patch_size", "num_channels")
        for name in (*sizes, "num_hidden_layers"):
            if getattr(self, name) < 1:
                raise PathPluginsError(f"{name} must be positive, got {getattr(self, name)}")
        for whole, part in (("hidden_size", "num_attention_heads"), ("image_size", "patch_size")):
            if getattr(self, whole) % getattr(self, part):
                raise PathPluginsError(
                    f"{whole} must be a multiple of {part}={getattr(self, part)}, got {getattr(self, whole)}"
                )
        depth = self.num_hidden_layers
        if not -depth - 1 <= self.select_layer <= depth:
            raise PathPluginsError(
                f"select_layer must be in [{-depth - 1}, {depth}] for {depth} layers, got {self.select_layer}"
            )
        if self.looks_ahead and self.layers_built == depth:
            raise PathPluginsError(
                f"looks_ahead: no layer comes behind select_layer {self.select_layer} of {depth} layers; remove it"
            )

    @property
    def layers_built(self) -> int:
        """Layers that run before the selected hidden state."""
        return self.select_layer % (self.num_hidden_layers + 1)

    @property
    def tokens_per_tile(self) -> int:
        """N, the class token not counted."""
        return (self.image_size // self.patch_size) ** 2


CHOSEN = ("select_layer", "looks_ahead")
"""Options that choose among the layers; the others are the shape of the released transformer."""


class _Ahead(nn.Module):
    """What tells where the class token looks in a layer that is not run."""

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.layer_norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> ClsAttention:
        """Return the attention for the hidden state before the layer, ``[T, N + 1, C]``."""
        return cls_attention(self.layer_norm1(x), self.q_proj, self.k_proj)


class ClipVisionTower(nn.Module):
    """CLIP vision transformer up to the selected layer; parameter names are those of the released checkpoints."""

    reads = "images"

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.config = config
        shape = {name: value for name, value in vars(config).items() if name not in CHOSEN}
        whole = CLIPVisionModel(TransformersConfig(**{**shape, "num_hidden_layers": config.layers_built}))
        inner = getattr(whole, "vision_model", whole)  # the same module from Transformers 5.6 on
        self.embeddings, self.pre_layrnorm, self.encoder = inner.embeddings, inner.pre_layrnorm, inner.encoder
        self.ahead = _Ahead(config) if config.looks_ahead else None
        _take_any_type(self)

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

    def reset_parameters(self) -> None:
        """Draw the weights that belong to no linear or norm, and number the positions, which no checkpoint holds."""
        parts, count = self.embeddings, self.tokens_per_tile + 1
        nn.init.normal_(parts.class_embedding, std=self.hidden_size**-0.5)
        nn.init.normal_(parts.patch_embedding.weight, std=0.02)
        nn.init.normal_(parts.position_embedding.weight, std=0.02)
        # Transformers 5 builds models without memory: what the buffer was given then is lost.
        numbers = torch.arange(count, device=parts.position_ids.device)
        parts.register_buffer("position_ids", numbers.expand(1, -1), persistent=False)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tiles.

        Args:
            pixel_values: Normalised tiles ``[T, 3, S, S]``, any float type.

        Returns:
            The class tokens ``[T, C]`` and the patch tokens ``[T, N, C]``, row by row, of the selected layer.

        Raises:
            ValueError: The tiles are of another size.
        """
        wanted = (self.config.num_channels, self.tile_size, self.tile_size)
        if pixel_values.shape[1:] != wanted:
            raise ValueError(
                f"the vision tower reads tiles {wanted} (channels, height, width), got pixel_values "
                f"{tuple(pixel_values.shape)}; take the image processor of the same model directory"
            )
        x = self.pre_layrnorm(self.embeddings(pixel_values))  # [T, N + 1, C]
        x = self.encoder(inputs_embeds=x)[0]
        return x[:, 0], x[:, 1:]

    def attend(self, pixel_values: Tensor, *, layer: int | None = None) -> tuple[Tensor, Tensor, ClsAttention]:
        """Encode as `forward`, and return where class tokens look in ``layer``; None is the last one that is kept."""
        block = self.looking(layer)
        if block is self.ahead:
            cls, tokens = self(pixel_values)
            return cls, tokens, block(torch.cat([cls[:, None], tokens], 1))
        with input_of(block) as seen:
            cls, tokens = self(pixel_values)
        x = block.layer_norm1(seen[0])
        return cls, tokens, cls_attention(x, block.self_attn.q_proj, block.self_attn.k_proj)

    def looking(self, layer: int | None) -> nn.Module:
        """Return the block of ``layer``, in which `attend` looks; raises ``PathPluginsError`` if there is none."""
        built = self.config.layers_built
        found = resolve_layer(layer, built + self.config.looks_ahead)
        return self.ahead if found == built else self.encoder.layers[found]


def _take_any_type(module: nn.Module) -> None:
    """Replace the norms, whose weights trainers may keep in another type than the rest."""
    for name, child in list(module.named_children()):
        if type(child) is nn.LayerNorm:
            setattr(module, name, LayerNorm(child.normalized_shape, eps=child.eps))
        else:
            _take_any_type(child)
