"""Names of OpenCLIP's weights, and what Transformers' CLIP and timm call the same tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

VISION, TEXT = "vision_model.", "text_model."
"""Before the names of the two transformers in Transformers' CLIP."""
PATCHES = "visual.conv1.weight"
"""Tensor by which a vision transformer of OpenCLIP is known; [C, 3, patch, patch]."""
NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
"""Numbers and a constant beside the weights in files made from OpenAI's."""
_WRAPPERS = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before every name."""


class Names(NamedTuple):
    """Names of one part of a vision transformer: a tensor's in full, a module's without ``.weight`` and ``.bias``."""

    open_clip: str
    transformers: str
    timm: str
    kinds: tuple[str, ...] = ("weight", "bias")
    """Tensors of a module; none for a tensor by itself."""


TOWER = (
    Names("class_embedding", "embeddings.class_embedding", "cls_token", ()),
    Names("positional_embedding", "embeddings.position_embedding.weight", "pos_embed", ()),
    Names("conv1", "embeddings.patch_embedding", "patch_embed.proj", ("weight",)),
    Names("ln_pre", "pre_layrnorm", "norm_pre"),
    Names("ln_post", "post_layernorm", "norm"),
)
"""Around the layers; OpenCLIP puts ``visual.`` before each."""
LAYER = (
    Names("ln_1", "layer_norm1", "norm1"),
    Names("ln_2", "layer_norm2", "norm2"),
    Names("attn.out_proj", "self_attn.out_proj", "attn.proj"),
    Names("mlp.c_fc", "mlp.fc1", "mlp.fc1"),
    Names("mlp.c_proj", "mlp.fc2", "mlp.fc2"),
)
"""In a layer, beside query, key and value, which OpenCLIP keeps in one ``attn.in_proj``."""

_TEXT_PARTS = {
    "positional_embedding": f"{TEXT}embeddings.position_embedding.weight",
    "token_embedding.weight": f"{TEXT}embeddings.token_embedding.weight",
    "ln_final.weight": f"{TEXT}final_layer_norm.weight",
    "ln_final.bias": f"{TEXT}final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
"""Matrices that OpenCLIP multiplies from the right."""
_LAYER = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def _parts() -> dict[str, str]:
    """Return OpenCLIP's name -> Transformers', of every tensor outside the layers."""
    parts = dict(_TEXT_PARTS)
    for row in TOWER:
        for end in [f".{kind}" for kind in row.kinds] or [""]:
            parts[f"visual.{row.open_clip}{end}"] = f"{VISION}{row.transformers}{end}"
    return parts


_PARTS = _parts()
_IN_LAYER = {row.open_clip: row.transformers for row in LAYER}


def bare(name: str) -> str:
    """Return a name without what a training wrapper put before it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def is_open_clip(names: Iterable[str]) -> bool:
    """Return whether tensors of these names are a vision transformer of OpenCLIP (or OpenAI's own)."""
    return any(bare(name) == PATCHES for name in names)


def weight_names(names: Iterable[str]) -> dict[str, str]:
    """Return bare name -> name in the file, of all that are weights."""
    return {bare(name): name for name in names if bare(name) not in NO_WEIGHTS}


def to_transformers(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return weights under Transformers' names, each bit as it was, and the names that mean nothing to its CLIP.

    Args:
        state: weights by bare names of OpenCLIP, of one transformer or both.
    """
    renamed: dict[str, Tensor] = {}
    strange = []
    for name, value in state.items():
        if parts := _renamed(name, value):
            renamed |= parts
        else:
            strange.append(name)
    return renamed, strange


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    """Return what a tensor becomes: one, or three where query, key and value lie in one; nothing for an unknown one."""
    if name in _PARTS:
        return {_PARTS[name]: value}
    if name in _TRANSPOSED:
        return {_TRANSPOSED[name]: value.T.contiguous()}
    if not (found := _LAYER.fullmatch(name)):
        return {}
    vision, number, part, kind = found.groups()
    layer = f"{VISION if vision else TEXT}encoder.layers.{number}"
    if part == "attn.in_proj":
        whole = zip("qkv", value.chunk(3), strict=True)
        return {f"{layer}.self_attn.{letter}_proj.{kind}": third.clone() for letter, third in whole}
    return {f"{layer}.{_IN_LAYER[part]}.{kind}": value} if part in _IN_LAYER else {}


def layers_of(names: Iterable[str], *, vision: bool) -> int:
    """Return the number of transformer layers, by the highest number in their names."""
    start = "visual.transformer.resblocks." if vision else "transformer.resblocks."
    numbers = [int(name.removeprefix(start).split(".")[0]) for name in names if name.startswith(start)]
    return max(numbers, default=-1) + 1


def float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same weights in float32."""
    return {name: value.float() for name, value in state.items()}
