"""Steps from the weights of a vision transformer by another project's names to timm's: renaming, joining, cutting.

Axes: N tokens, C width.
"""

from __future__ import annotations

import re
from typing import Any

from pathplugins.core.optional import need

Weights = dict[str, Any]

BLOCKS = re.compile(r"^(?:encoder\.layers?|transformer\.resblocks|blocks)\.")


def below(found: Weights, prefix: str) -> Weights:
    """Return the weights below ``prefix``, without it."""
    return {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}


def renamed(weights: Weights, names: dict[str, str]) -> Weights:
    """Return every weight under timm's name, whether a part is called by its full name or by one with ``.weight``."""
    told = {}
    for key, value in weights.items():
        block = BLOCKS.match(key)
        number, _, inner = key[block.end() :].partition(".") if block else ("", "", key)
        start = f"blocks.{number}." if block else ""
        part, _, kind = inner.rpartition(".")
        name = names.get(inner) or f"{names.get(part, part)}{'.' if part else ''}{kind}"
        told[start + name] = value
    return told


def joined(weights: Weights) -> Weights:
    """Join query, key and value to the one matrix timm has."""
    told = {}
    for key, value in weights.items():
        if ".attn.q." in key:
            matrices = [weights.get(key.replace(".attn.q.", f".attn.{letter}.")) for letter in "qkv"]
            if any(matrix is None for matrix in matrices):
                continue  # the weight is then missing, which the loader reports
            told[key.replace(".attn.q.", ".attn.qkv.")] = need("torch").cat(matrices)  # [3 C, C] or [3 C]
        elif ".attn.k." not in key and ".attn.v." not in key:
            told[key] = value
    return told


def with_registers(weights: Weights) -> Weights:
    """Give registers timm's form: the class token holds its position, and only patches have positions beside."""
    if {"reg_token", "cls_token", "pos_embed"} <= weights.keys():
        weights["cls_token"] = weights["cls_token"] + weights["pos_embed"][:, :1]  # [1, 1, C]
        weights["pos_embed"] = weights["pos_embed"][:, 1:]  # [1, N, C]
    return weights
