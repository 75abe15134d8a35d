"""Steps from other names to timm's."""

from __future__ import annotations

import pytest

from pathplugins.encoders.renaming import below, joined, renamed, with_registers

torch = pytest.importorskip("torch")


def test_names_below_a_prefix_lose_it() -> None:
    assert below({"a.b": 1, "a.c.d": 2, "ab": 3}, "a.") == {"b": 1, "c.d": 2}


def test_whole_names_and_parts_are_renamed() -> None:
    weights = {"encoder.layer.3.out.dense.bias": 1, "blocks.0.ls1.gamma": 2, "probe": 3, "other": 4}
    names = {"out.dense": "proj", "probe": "latent"}
    assert renamed(weights, names) == {"blocks.3.proj.bias": 1, "blocks.0.ls1.gamma": 2, "latent": 3, "other": 4}


def test_three_matrices_become_one() -> None:
    parts = {f"blocks.0.attn.{letter}.bias": torch.full((2,), i) for i, letter in enumerate("qkv")}
    assert joined(parts)["blocks.0.attn.qkv.bias"].tolist() == [0, 0, 1, 1, 2, 2]
    parts.pop("blocks.0.attn.v.bias")
    assert joined(parts) == {}  # the loader then names what is missing


def test_a_class_token_keeps_its_position_when_registers_have_none() -> None:
    weights = {"reg_token": torch.ones(1, 2, 1), "cls_token": torch.ones(1, 1, 1), "pos_embed": torch.arange(5.0)}
    weights["pos_embed"] = weights["pos_embed"].reshape(1, 5, 1) + 3
    told = with_registers(dict(weights))
    assert told["cls_token"].flatten().tolist() == [4.0]
    assert told["pos_embed"].flatten().tolist() == [4.0, 5.0, 6.0, 7.0]
    weights.pop("reg_token")
    assert with_registers(dict(weights)) == weights
