"""Names of OpenCLIP: one table for both directions of use, and what is no weight left out everywhere."""

from __future__ import annotations

import pytest
import torch

from pathplugins.weights.names.open_clip import (
    LAYER,
    NO_WEIGHTS,
    TOWER,
    is_open_clip,
    layers_of,
    to_transformers,
    weight_names,
)

WIDTH = 6


def state() -> dict[str, torch.Tensor]:
    """One vision layer and one text layer."""
    names = {
        **{"visual.class_embedding": (WIDTH,), "visual.positional_embedding": (5, WIDTH)},
        **{"visual.conv1.weight": (WIDTH, 3, 4, 4), "visual.proj": (WIDTH, 4)},
        **{f"visual.ln_{end}.{kind}": (WIDTH,) for end in ("pre", "post") for kind in ("weight", "bias")},
        **{"positional_embedding": (9, WIDTH), "token_embedding.weight": (20, WIDTH), "text_projection": (WIDTH, 4)},
        **{"ln_final.weight": (WIDTH,), "ln_final.bias": (WIDTH,), "logit_scale": ()},
    }
    for start in ("visual.", ""):
        layer = f"{start}transformer.resblocks.0."
        for kind, shape in (("weight", (3 * WIDTH, WIDTH)), ("bias", (3 * WIDTH,))):
            names[f"{layer}attn.in_proj_{kind}"] = shape
        for row in LAYER:
            names |= {f"{layer}{row.open_clip}.{kind}": (WIDTH,) for kind in row.kinds}
    draw = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=draw) for name, shape in names.items()}


def test_names_and_numbers_of_transformers() -> None:
    renamed, strange = to_transformers({**state(), "visual.trunk.x": torch.ones(1)})
    assert strange == ["visual.trunk.x"]
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": WIDTH}
    vision = {**size, "image_size": 8, "patch_size": 4}
    config = transformers.CLIPConfig(
        text_config={**size, "vocab_size": 20, "max_position_embeddings": 9}, vision_config=vision, projection_dim=4
    )
    with torch.device("meta"):
        wanted = transformers.CLIPModel(config).state_dict()
    assert renamed.keys() == {name for name in wanted if "position_ids" not in name}
    layer = "vision_model.encoder.layers.0.self_attn"
    joined = torch.cat([renamed[f"{layer}.{letter}_proj.weight"] for letter in "qkv"])
    assert torch.equal(joined, state()["visual.transformer.resblocks.0.attn.in_proj_weight"])
    assert torch.equal(renamed["visual_projection.weight"], state()["visual.proj"].T)


def test_wrappers_and_numbers_are_left_out() -> None:
    names = [f"_orig_mod.module.{name}" for name in state()] + ["attn_mask", "module.context_length", "vocab_size"]
    assert is_open_clip(names)
    assert not is_open_clip(["vision_model.embeddings.patch_embedding.weight"])
    assert weight_names(names) == {name: f"_orig_mod.module.{name}" for name in state()}
    assert {"attn_mask", "input_resolution"} <= set(NO_WEIGHTS)
    assert (layers_of(state(), vision=True), layers_of([], vision=False)) == (1, 0)
    assert layers_of(["transformer.resblocks.10.ln_1.bias"], vision=False) == 11


def test_each_name_is_in_the_table_once() -> None:
    for column in zip(*((row.open_clip, row.transformers, row.timm) for row in (*TOWER, *LAYER)), strict=True):
        assert len(set(column)) == len(column)
