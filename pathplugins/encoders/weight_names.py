"""Rename the weights of a vision transformer from Transformers' or open_clip's names to timm's.

Renaming keeps the numbers; only query, key and value are laid side by side and a few vectors get timm's axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pathplugins.core.optional import need
from pathplugins.weights.names.open_clip import LAYER, TOWER

Weights = dict[str, Any]

BLOCKS = re.compile(r"^(?:encoder\.layers?|transformer\.resblocks)\.")
TRANSFORMERS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
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
    return _joined(_renamed(_below(found, prefix), TRANSFORMERS)), "Transformers", prefix


def _transformers_clip(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    own = _below(found, prefix)
    own.pop("embeddings.position_ids", None)  # a constant that old versions saved
    renamed = _joined(_renamed(own, TRANSFORMERS_CLIP))
    projection = prefix.removesuffix("vision_model.") + "visual_projection.weight"  # [D, C]
    return _clip_axes(renamed, found.get(projection)), "Transformers CLIP", prefix


def _open_clip(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    renamed = _renamed(_below(found, prefix), OPEN_CLIP)
    projection = renamed.pop("proj", None)  # [C, D]
    return _clip_axes(renamed, None if projection is None else projection.T), "open_clip", prefix


#: name of a weight by which a naming is recognised -> the function that renames from it
CONVENTIONS: dict[str, Callable[[Weights, str], tuple[Weights, str, str]]] = {
    "embeddings.patch_embeddings.projection.weight": _transformers,
    "embeddings.patch_embedding.weight": _transformers_clip,
    "class_embedding": _open_clip,
}


def _below(found: Weights, prefix: str) -> Weights:
    return {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}


def _renamed(weights: Weights, names: dict[str, str]) -> Weights:
    """Return every weight under timm's name, whether a part is called by its full name or by one with ``.weight``."""
    renamed = {}
    for key, value in weights.items():
        block = BLOCKS.match(key)
        number, _, inner = key[block.end() :].partition(".") if block else ("", "", key)
        start = f"blocks.{number}." if block else ""
        part, _, kind = inner.rpartition(".")
        name = names.get(inner) or f"{names.get(part, part)}{'.' if part else ''}{kind}"
        renamed[start + name] = value
    return renamed


def _joined(weights: Weights) -> Weights:
    """Join query, key and value to the one matrix timm has."""
    joined = {}
    for key, value in weights.items():
        if ".attn.q." in key:
            matrices = [weights.get(key.replace(".attn.q.", f".attn.{letter}.")) for letter in "qkv"]
            if any(matrix is None for matrix in matrices):
                continue  # the weight is then missing, which the loader reports
            joined[key.replace(".attn.q.", ".attn.qkv.")] = need("torch").cat(matrices)  # [3 C, C] or [3 C]
        elif ".attn.k." not in key and ".attn.v." not in key:
            joined[key] = value
    return joined


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
