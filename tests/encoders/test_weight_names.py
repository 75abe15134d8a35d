"""Weights by the names of Transformers and OpenCLIP give the numbers of the models they come from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import PATCHES, as_transformers_sees, run, tiny, transformers_model

from pathplugins.core.errors import CheckpointError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.load_weights import load_weights
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def test_plain_and_quick_gelu_are_told_apart(tmp_path: Path) -> None:
    model, _ = transformers_model("gelu")
    quick = build_model(replace(tiny(find_card("plip"))))
    plain = build_model(replace(tiny(find_card("plip")), architecture="vit_base_patch32_clip_224"))
    torch.save(model.state_dict(), tmp_path / "w.bin")
    pixels = as_transformers_sees(PATCHES)
    for ours, same in ((quick, False), (plain, True)):
        load_weights(ours, tmp_path / "w.bin")
        with torch.inference_mode():
            assert torch.allclose(run(ours, pixels), model(pixels).image_embeds, atol=1e-5) == same


def open_clip_names(clip: Any) -> dict[str, Any]:
    """The weights of Transformers' CLIP as open_clip saves them."""
    vision, out = clip.vision_model, {}
    state = {key.removeprefix("vision_model."): value for key, value in vision.state_dict().items()}
    out["class_embedding"] = state["embeddings.class_embedding"]
    out["positional_embedding"] = state["embeddings.position_embedding.weight"]
    out["conv1.weight"] = state["embeddings.patch_embedding.weight"]
    out["proj"] = clip.visual_projection.weight.T
    for kind in ("weight", "bias"):
        out[f"ln_pre.{kind}"] = state[f"pre_layrnorm.{kind}"]
        out[f"ln_post.{kind}"] = state[f"post_layernorm.{kind}"]
        for i in range(2):
            theirs, block = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
            qkv = [state[f"{theirs}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
            out[f"{block}.attn.in_proj_{kind}"] = torch.cat(qkv)
            out[f"{block}.attn.out_proj.{kind}"] = state[f"{theirs}.self_attn.out_proj.{kind}"]
            out[f"{block}.mlp.c_fc.{kind}"] = state[f"{theirs}.mlp.fc1.{kind}"]
            out[f"{block}.mlp.c_proj.{kind}"] = state[f"{theirs}.mlp.fc2.{kind}"]
            for j in (1, 2):
                out[f"{block}.ln_{j}.{kind}"] = state[f"{theirs}.layer_norm{j}.{kind}"]
    text = {"positional_embedding": torch.zeros(7, 16), "transformer.resblocks.0.ln_1.weight": torch.zeros(16)}
    return {**{f"visual.{k}": v for k, v in out.items()}, **text, "logit_scale": torch.ones(())}


@pytest.mark.parametrize("wrap", ["", "module."], ids=["released", "training"])
def test_open_clips_weights(wrap: str, tmp_path: Path) -> None:
    clip, wanted = transformers_model("quick_gelu")
    state = {wrap + key: value for key, value in open_clip_names(clip).items()}
    torch.save({"epoch": 3, "state_dict": state} if wrap else state, tmp_path / "w.pt")
    model = build_model(tiny(find_card("pathgen-clip-l")))
    loaded = load_weights(model, tmp_path / "w.pt")
    assert (loaded.naming, loaded.prefix) == ("open_clip", f"{wrap}visual.")
    pixels = as_transformers_sees(PATCHES)
    with torch.inference_mode():
        torch.testing.assert_close(run(model, pixels), wanted(pixels), atol=1e-5, rtol=1e-4)
    del state[f"{wrap}visual.proj"]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match=r"lacks 2 \(head\.weight, head\.bias\)"):
        load_weights(model, tmp_path / "part.pt")
