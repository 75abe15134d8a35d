"""Weights by the names of each layout give the numbers of models that share no code with timm's, in float64."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import SIDE, TINY_SWIN, run, shaken, tiny, transformers_model

from pathplugins.encoders.build import build_model
from pathplugins.encoders.load_weights import load_weights
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
functional = torch.nn.functional
EXACT: dict[str, float] = {"atol": 1e-6, "rtol": 1e-6}


def pixels() -> Any:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loaded(name: str, state: dict[str, Any], folder: Path, naming: str, **more: Any) -> Any:
    """The tiny model of a row in float64, with these weights."""
    torch.save(state, folder / "w.pth")
    card = tiny(find_card(name))
    model = build_model(card.__class__(**{**vars(card), "timm_kwargs": {**card.timm_kwargs, **more}})).double()
    assert load_weights(model, folder / "w.pth", unused=card.unused).naming == naming
    return model.eval()


@pytest.mark.parametrize(
    ("row", "kind", "more"), [("hibou-b", "registers", {"reg_tokens": 3}), ("midnight-12k", "gated", {})]
)
def test_dinov2_of_transformers(row: str, kind: str, more: dict[str, Any], tmp_path: Path) -> None:
    """As Hibou and Midnight-12k lie on the hub."""
    model, _ = transformers_model(kind)
    ours = loaded(row, model.double().state_dict(), tmp_path, "Transformers", mlp_ratio=128.5 / 48, **more)
    with torch.inference_mode():
        wanted = model(pixels()).last_hidden_state
        torch.testing.assert_close(ours.forward_features(pixels()), wanted, **EXACT)
    assert ours.num_prefix_tokens == 1 + more.get("reg_tokens", 0)


def test_dinov2_of_meta(tmp_path: Path) -> None:
    """As Kaiko's ViT-L/14 and Hibou-B lie beside their code."""
    source = shaken(build_model(tiny(find_card("hibou-b")))).double()
    state = source.state_dict()
    place = torch.rand(1, 1, 48, dtype=torch.float64)
    names = {".mlp.fc1.": ".mlp.w12.", ".mlp.fc2.": ".mlp.w3.", "reg_token": "register_tokens"}
    theirs = {}
    for name, value in state.items():
        for ours, meta in names.items():
            name = name.replace(ours, meta)
        theirs[name] = value
    theirs |= {"cls_token": state["cls_token"] - place, "pos_embed": torch.cat([place, state["pos_embed"]], 1)}
    model = loaded("hibou-b", {**theirs, "mask_token": torch.zeros(1, 48)}, tmp_path, "DINOv2")
    torch.testing.assert_close(run(model, pixels()), run(source, pixels()), **EXACT)


def test_siglip_of_transformers(tmp_path: Path) -> None:
    """As google/siglip2-* lie on the hub, text and image in one file."""
    model, wanted = transformers_model("siglip")
    state = {**model.double().state_dict(), "text_model.head.weight": torch.zeros(2, 2)}
    state = {
        name if "." in name and name.startswith(("vision_model", "text")) else f"vision_model.{name}": value
        for name, value in state.items()
    }
    ours = loaded("siglip2-base-patch16-224", state, tmp_path, "Transformers SigLIP")
    with torch.inference_mode():
        torch.testing.assert_close(run(ours, pixels()), wanted(pixels()), **EXACT)
        torch.testing.assert_close(ours.forward_features(pixels()), model(pixels()).last_hidden_state, **EXACT)


def beit3_state(depth: int = 2, width: int = 48, hidden: int = 96, grid: int = SIDE // 8) -> dict[str, Any]:
    """Weights of a tiny MUSK by torchscale's names: A sees images, B reads texts."""
    draw = torch.Generator().manual_seed(5)

    def made(*shape: int) -> Any:
        return torch.rand(shape, generator=draw, dtype=torch.float64) * 0.6 - 0.2

    state = {
        "beit3.text_embed.weight": made(9, width),
        "beit3.vision_embed.mask_token": made(1, 1, width),
        "beit3.vision_embed.cls_token": made(1, 1, width),
        "beit3.vision_embed.proj.weight": made(width, 3, 8, 8),
        "beit3.vision_embed.proj.bias": made(width),
        "beit3.encoder.embed_positions.A.weight": made(grid * grid + 3, width),
        "beit3.encoder.embed_positions.B.weight": made(20, width),
        "language_head.weight": made(width, width),
        "vision_head.weight": made(width, width),
        "logit_scale": made(),
    }
    norms = {"self_attn_layer_norm": width, "self_attn.inner_attn_ln": width, "final_layer_norm": width}
    for half in "AB":
        for i in range(depth):
            at = f"beit3.encoder.layers.{i}."
            for part, size in norms.items():
                state |= {f"{at}{part}.{half}.{kind}": made(size) for kind in ("weight", "bias")}
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                state[f"{at}self_attn.{part}.{half}.weight"] = made(width, width)
                state[f"{at}self_attn.{part}.{half}.bias"] = made(width)
            for part, shape in (("fc1", (hidden, width)), ("fc2", (width, hidden)), ("ffn_layernorm", (hidden,))):
                state[f"{at}ffn.{half}.{part}.weight"] = made(*shape)
                state[f"{at}ffn.{half}.{part}.bias"] = made(shape[0])
        state |= {f"beit3.encoder.layer_norm.{half}.{kind}": made(width) for kind in ("weight", "bias")}
    return state


def beit3_by_hand(state: dict[str, Any], images: Any, heads: int, depth: int = 2) -> Any:
    """Tokens ``[B, 1 + N, C]`` by torchscale's formulas: norms before, within and after, none on the residual."""

    def norm(x: Any, name: str) -> Any:
        mean, spread = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (spread + 1e-5).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    cut = images.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)  # [B, N, 3 * 64]
    kernel = state["beit3.vision_embed.proj.weight"].flatten(1)
    x = cut @ kernel.T + state["beit3.vision_embed.proj.bias"]
    x = torch.cat([state["beit3.vision_embed.cls_token"].expand(len(x), 1, -1), x], 1)
    x = x + state["beit3.encoder.embed_positions.A.weight"][2:]
    for i in range(depth):
        at = f"beit3.encoder.layers.{i}."
        y = norm(x, f"{at}self_attn_layer_norm.A")
        q, k, v = (linear(y, f"{at}self_attn.{p}_proj.A").unflatten(-1, (heads, -1)).transpose(1, 2) for p in "qkv")
        shares = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        y = norm((shares @ v).transpose(1, 2).flatten(2), f"{at}self_attn.inner_attn_ln.A")
        x = x + linear(y, f"{at}self_attn.out_proj.A")
        y = functional.gelu(linear(norm(x, f"{at}final_layer_norm.A"), f"{at}ffn.A.fc1"))
        x = x + linear(norm(y, f"{at}ffn.A.ffn_layernorm"), f"{at}ffn.A.fc2")
    return norm(x, "beit3.encoder.layer_norm.A")


def test_musk_s_image_half(tmp_path: Path) -> None:
    state = beit3_state()
    model = loaded("musk", state, tmp_path, "BEiT-3")
    wanted = beit3_by_hand(state, pixels(), heads=3)
    with torch.inference_mode():
        torch.testing.assert_close(model.forward_features(pixels()), wanted, **EXACT)
        torch.testing.assert_close(model(pixels()), wanted[:, 0], **EXACT)


def swin_by_transformers(state: dict[str, Any], images: Any) -> Any:
    """Map ``[B, N, C]`` of old timm's Swin: the stem by its formulas, all behind it by Transformers' Swin."""
    transformers = pytest.importorskip("transformers")
    config = transformers.SwinConfig(
        image_size=SIDE, patch_size=4, embed_dim=48, depths=[2, 2], num_heads=[3, 6], window_size=4
    )
    model = transformers.SwinModel(config, add_pooling_layer=False).double().eval()
    theirs = dict(model.state_dict())
    for name, value in state.items():
        stage, _, rest = name.removeprefix("layers.").partition(".")
        at = f"encoder.layers.{stage}.{rest}"
        for ours, hf in {
            ".norm1.": ".layernorm_before.",
            ".norm2.": ".layernorm_after.",
            ".mlp.fc1.": ".intermediate.dense.",
            ".mlp.fc2.": ".output.dense.",
            ".attn.proj.": ".attention.output.dense.",
            ".attn.relative_position_bias_table": ".attention.self.relative_position_bias_table",
        }.items():
            at = at.replace(ours, hf)
        if ".attn.qkv." in at:
            for letter, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                theirs[at.replace(".attn.qkv.", f".attention.self.{letter}.")] = part
        elif name.startswith("layers.") and not name.endswith(("index", "attn_mask")):
            assert at in theirs, at
            theirs[at] = value
    theirs |= {f"layernorm.{kind}": state[f"norm.{kind}"] for kind in ("weight", "bias")}
    model.load_state_dict(theirs)
    x = images
    for conv, norm in ((0, 1), (3, 4)):
        x = functional.conv2d(x, state[f"patch_embed.proj.{conv}.weight"], stride=2, padding=1)
        told = {kind: state[f"patch_embed.proj.{norm}.{kind}"][:, None, None] for kind in ("weight", "bias")}
        mean, spread = (state[f"patch_embed.proj.{norm}.running_{kind}"][:, None, None] for kind in ("mean", "var"))
        x = ((x - mean) / (spread + 1e-5).sqrt() * told["weight"] + told["bias"]).relu()
    x = functional.conv2d(x, state["patch_embed.proj.6.weight"], state["patch_embed.proj.6.bias"])
    x = x.flatten(2).transpose(1, 2)
    x = functional.layer_norm(x, x.shape[-1:], state["patch_embed.norm.weight"], state["patch_embed.norm.bias"], 1e-5)
    encoded = model.encoder(x, (SIDE // 4, SIDE // 4))
    return model.layernorm(encoded[0])


def test_ctranspath(tmp_path: Path) -> None:
    """By the names its file has: old timm shrinks a map at the end of a stage, and saves constants too."""
    source = shaken(build_model(tiny(find_card("ctranspath")))).double()
    assert TINY_SWIN["window_size"] == 4  # the second block of the first stage shifts its windows
    state = {
        name.replace("layers.1.downsample", "layers.0.downsample"): value
        for name, value in source.state_dict().items()
        if not name.startswith("head.")
    }
    constants = {"layers.0.blocks.1.attn_mask": torch.zeros(4, 16, 16)}
    constants |= {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long)}
    model = loaded("ctranspath", {"model": {**state, **constants}}, tmp_path, "timm 0.5")
    with torch.inference_mode():
        wanted = swin_by_transformers(state, pixels())
        torch.testing.assert_close(model.forward_features(pixels()).flatten(1, 2), wanted, **EXACT)
        torch.testing.assert_close(model(pixels()), wanted.mean(1), **EXACT)
