"""OpenCLIP's weights by Transformers' names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

VISION, TEXT = "vision_model.", "text_model."
"""Before the names of the two transformers in Transformers' CLIP."""
PATCHES = "visual.conv1.weight"
"""Tensor by which a vision transformer of OpenCLIP is known; [C, 3, patch, patch]."""
_WRAPPERS = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before every name."""
_NUMBERS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
"""Beside the weights in files made from OpenAI's; no weights."""
_PARTS = {
    "visual.class_embedding": f"{VISION}embeddings.class_embedding",
    "visual.positional_embedding": f"{VISION}embeddings.position_embedding.weight",
    PATCHES: f"{VISION}embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": f"{VISION}pre_layrnorm.weight",
    "visual.ln_pre.bias": f"{VISION}pre_layrnorm.bias",
    "visual.ln_post.weight": f"{VISION}post_layernorm.weight",
    "visual.ln_post.bias": f"{VISION}post_layernorm.bias",
    "positional_embedding": f"{TEXT}embeddings.position_embedding.weight",
    "token_embedding.weight": f"{TEXT}embeddings.token_embedding.weight",
    "ln_final.weight": f"{TEXT}final_layer_norm.weight",
    "ln_final.bias": f"{TEXT}final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
"""Matrices that OpenCLIP multiplies from the right."""
_IN_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_LAYER = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def bare(name: str) -> str:
    """A name without what a training wrapper put before it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def is_open_clip(names: Iterable[str]) -> bool:
    """Whether a file with tensors of these names holds a vision transformer of OpenCLIP (or OpenAI's own)."""
    return any(bare(name) == PATCHES for name in names)


def weight_names(names: Iterable[str]) -> dict[str, str]:
    """Bare name -> name in the file, of all that are weights."""
    return {bare(name): name for name in names if bare(name) not in _NUMBERS}


def to_transformers(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Weights under Transformers' names, each bit as it was, and the names that mean nothing to its CLIP.

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
    """What a tensor becomes: one, or three where query, key and value lie in one; nothing for an unknown one."""
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


def layers_of(state: dict[str, Tensor], *, vision: bool) -> int:
    """Transformer layers, by their highest number."""
    start = "visual.transformer.resblocks." if vision else "transformer.resblocks."
    numbers = [int(name.removeprefix(start).split(".")[0]) for name in state if name.startswith(start)]
    return max(numbers, default=-1) + 1


def float32(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in float32."""
    return {name: value.float() for name, value in state.items()}
