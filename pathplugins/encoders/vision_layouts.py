"""Names of weights in Meta's DINOv2, BEiT-3, SigLIP by Transformers and old timm's Swin, and what timm calls them.

Renaming keeps the numbers; a pair of matrices may be laid side by side or taken apart.

Axes: N tokens, C width.
"""

from __future__ import annotations

import re

from pathplugins.encoders.renaming import Weights, below, joined, renamed
from pathplugins.encoders.renaming import with_registers as _with_registers
from pathplugins.weights.names.open_clip import LAYER, TOWER

DINOV2 = {"register_tokens": "reg_token", "mlp.w12": "mlp.fc1", "mlp.w3": "mlp.fc2"}
"""Meta's names of a DINOv2 with registers or gated layers; the others are timm's."""
BEIT3 = {
    "vision_embed.cls_token": "cls_token",
    "vision_embed.proj": "patch_embed.proj",
    "encoder.layer_norm": "norm",
    "self_attn_layer_norm": "norm1",
    "self_attn.inner_attn_ln": "attn.norm",
    "self_attn.out_proj": "attn.proj",
    "final_layer_norm": "norm2",
    "ffn.fc1": "mlp.fc1",
    "ffn.ffn_layernorm": "mlp.norm",
    "ffn.fc2": "mlp.fc2",
    **{f"self_attn.{letter}_proj": f"attn.{letter}" for letter in "qkv"},
}
BEIT3_POSITIONS, FIRST_POSITION = "encoder.embed_positions.weight", 2
"""Positions of images, and the row of the first: torchscale counts as Fairseq does."""
SIGLIP = {row.transformers: row.timm for row in (*TOWER, *LAYER)}
SIGLIP |= {f"self_attn.{letter}_proj": f"attn.{letter}" for letter in "qkv"}
SIGLIP |= {
    "head.probe": "attn_pool.latent",
    "head.attention.out_proj": "attn_pool.proj",
    "head.layernorm": "attn_pool.norm",
    "head.mlp.fc1": "attn_pool.mlp.fc1",
    "head.mlp.fc2": "attn_pool.mlp.fc2",
}
_STAGE = re.compile(r"^layers\.(\d+)\.downsample\.")
_CONSTANTS = ("relative_position_index", "attn_mask")
"""What old versions of timm saved with a Swin and follows from its shape."""


def dinov2(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    """Return Meta's DINOv2 by timm's names."""
    return _with_registers(renamed(below(found, prefix), DINOV2)), "DINOv2", prefix


def beit3(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    """Return the half of a BEiT-3 that sees images, which it calls A; that of texts is B."""
    own = below(found, f"{prefix}beit3.")
    images = {name.replace(".A.", "."): value for name, value in own.items() if ".B." not in name}
    images = {
        name: value for name, value in images.items() if not name.startswith(("text_embed.", "vision_embed.mask"))
    }
    places = images.pop(BEIT3_POSITIONS, None)  # [2 + N, C]
    told = joined(renamed(images, BEIT3))
    if places is not None:
        told["pos_embed"] = places[FIRST_POSITION:][None]  # [1, N, C]
    return told, "BEiT-3", f"{prefix}beit3."


def siglip(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    """Return SigLIP's image side, whose pooler holds query, key and value in one matrix."""
    told = joined(renamed(below(found, prefix), SIGLIP))
    if "pos_embed" in told:
        told["pos_embed"] = told["pos_embed"][None]  # [1, N, C]
    for kind in ("weight", "bias"):
        whole = told.pop(f"head.attention.in_proj_{kind}", None)  # [3 C, C] or [3 C]
        if whole is not None:
            query, key_value = whole[: len(whole) // 3], whole[len(whole) // 3 :]
            told |= {f"attn_pool.q.{kind}": query, f"attn_pool.kv.{kind}": key_value}
    return told, "Transformers SigLIP", prefix


def old_swin(found: Weights, prefix: str) -> tuple[Weights, str, str]:
    """Return a Swin of timm below 0.9, where a stage shrinks its map at its end and not the next at its beginning."""
    own = {name: value for name, value in below(found, prefix).items() if not name.endswith(_CONSTANTS)}
    told = {_STAGE.sub(lambda stage: f"layers.{int(stage[1]) + 1}.downsample.", name): own[name] for name in own}
    return told, "timm 0.5", prefix
