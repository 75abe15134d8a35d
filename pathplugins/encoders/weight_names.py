"""Rename the weights of a vision transformer from the names of other projects to timm's.

Renaming keeps the numbers; only query, key and value are laid side by side and a few vectors get timm's axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pathplugins.encoders.renaming import Weights, below, joined, renamed, with_registers
from pathplugins.encoders.vision_layouts import beit3, dinov2, old_swin, siglip
from pathplugins.weights.names.open_clip import LAYER, TOWER

TRANSFORMERS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.attention.query": "attn.q",
    "attention.attention.key": "attn.k",
    "attention.attention.value": "attn.v",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "mlp.weights_in": "mlp.fc1",
    "mlp.weights_out": "mlp.fc2",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}
#: Transformers' CLIP and open_clip; whole names, or modules without ``.weight`` and ``.bias``
TRANSFORMERS_CLIP = {row.transformers: row.timm for row in (*TOWER, *LAYER)}
TRANSFORMERS_CLIP |= {f"self_attn.{letter}_proj": f"attn.{letter}" for letter in "qkv"}
OPEN_CLIP = {row.open_clip: row.timm for row in (*TOWER, *LAYER)}
OPEN_CLIP |= {f"attn.in_proj_{kind}": f"attn.qkv.{kind}" for kind in ("weight", "bias")}


def to_timm(found: Weights) -> tuple[Weights, str, str]:
    """Return (weights by timm's names, project of the old names, their prefix); unknown names stay."""
    for probe, convert in CONVENTIONS.items():
        for key in found:
            prefix = key.removesuffix(probe)
            if prefix != key and (not prefix or prefix.endswith(".")):
                return convert(found, prefix)
    return found, "timm", ""


def _transformers(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    return with_registers(joined(renamed(below(found, prefix), TRANSFORMERS))), "Transformers", prefix


def _transformers_clip(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    if f"{prefix}embeddings.class_embedding" not in found:
        return siglip(found, prefix)
    own = below(found, prefix)
    own.pop("embeddings.position_ids", None)  # a constant that old versions saved
    told = joined(renamed(own, TRANSFORMERS_CLIP))
    projection = prefix.removesuffix("vision_model.") + "visual_projection.weight"  # [D, C]
    return _clip_axes(told, found.get(projection)), "Transformers CLIP", prefix


def _open_clip(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    told = renamed(below(found, prefix), OPEN_CLIP)
    projection = told.pop("proj", None)  # [C, D]
    return _clip_axes(told, None if projection is None else projection.T), "open_clip", prefix


#: name of a weight by which a naming is recognised -> the function that renames from it
CONVENTIONS: dict[str, Callable[[Weights, str], tuple[Weights, str, str]]] = {
    "embeddings.patch_embeddings.projection.weight": _transformers,
    "embeddings.patch_embedding.weight": _transformers_clip,
    "class_embedding": _open_clip,
    "register_tokens": dinov2,
    "blocks.0.mlp.w12.weight": dinov2,
    "beit3.vision_embed.proj.weight": beit3,
    "layers.0.downsample.reduction.weight": old_swin,
}


def _clip_axes(weights: Weights, projection: Any) -> Weights:
    """Give CLIP's vectors timm's axes, and make its projection ``[D, C]`` timm's head, which has a bias."""
    if "cls_token" in weights:
        weights["cls_token"] = weights["cls_token"].reshape(1, 1, -1)  # [1, 1, C]
    if "pos_embed" in weights:
        weights["pos_embed"] = weights["pos_embed"][None]  # [1, N, C]
    if projection is not None:
        weights["head.weight"] = projection
        weights["head.bias"] = projection.new_zeros(len(projection))
    return weights
