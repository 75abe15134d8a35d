import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.data_tools.encoders.build import build_model
from pathplugins.data_tools.encoders.encoder import EncoderChoice, PatchEncoder, load_encoder
from pathplugins.data_tools.encoders.load_weights import load_weights
from pathplugins.data_tools.encoders.pooling import feature_width, pooled
from pathplugins.data_tools.encoders.registry import CARDS, EncoderCard, Preprocess, find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

SIDE = 32
PATCHES = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE, 3), np.uint8)
TINY = {"img_size": SIDE, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 2.0}
SHAPE = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": SIDE, "patch_size": 8}
PROCESSOR = {
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2] * 3,
}


def run(model: Any, pixels: Any) -> Any:
    with torch.inference_mode():
        return model.eval()(pixels)


def features(encoder: PatchEncoder) -> np.ndarray:
    return encoder(np.stack([encoder.prepare(patch) for patch in PATCHES]))


def as_transformers_sees(patches: np.ndarray) -> Any:
    pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255  # [B, 3, H, W]
    return (pixels - torch.tensor(PROCESSOR["image_mean"])[:, None, None]) / 0.2


def shaken(model: Any, seed: int = 0) -> Any:
    """All weights random, those too that start as ones or zeros and would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.6 - 0.2)
    return model.eval()


def tiny(card: EncoderCard) -> EncoderCard:
    """The card with a model small enough for a test; what makes it that encoder stays."""
    if card.architecture == "resnet50":
        return replace(card, architecture="test_resnet", width=None)
    kwargs = {**card.timm_kwargs, **TINY}
    for key, value in {"pooler_width": 24, "pooler_heads": 2, "num_classes": 24}.items():
        if key in kwargs:
            kwargs[key] = value
    return replace(card, timm_kwargs=kwargs, width=None)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_family_has_random_weights(card: EncoderCard) -> None:
    small = tiny(card)
    before = torch.get_rng_state()
    model, again, other = (build_model(small, seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    first, same, another = (pooled(small.pool, model, run(model, pixels)) for model in (model, again, other))
    assert first.shape == (2, feature_width(small.pool, model))
    assert torch.equal(first, same)
    assert not torch.allclose(first, another)


def test_class_token_beside_the_mean_of_the_patches() -> None:
    for name, registers in (("virchow", 0), ("virchow2", 4)):
        small = tiny(find_card(name))
        model = build_model(small)
        tokens = run(model, torch.rand(2, 3, SIDE, SIDE))
        assert tokens.shape == (2, 1 + registers + 16, 48)
        wanted = torch.stack([torch.cat([t[0], t[1 + registers :].mean(0)]) for t in tokens])
        torch.testing.assert_close(pooled(small.pool, model, tokens), wanted)


def transformers_folder(folder: Path, model: Any, **processor: Any) -> str:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    return str(folder)


def transformers_model(kind: str) -> tuple[Any, Callable[[Any], Any]]:
    """(a tiny model of Transformers with random weights, its features of pixels)."""
    transformers = pytest.importorskip("transformers")
    if kind == "vit":
        config = transformers.ViTConfig(**SHAPE, intermediate_size=96, layer_norm_eps=0.01)
        model = shaken(transformers.ViTModel(config, add_pooling_layer=False))
        return model, lambda pixels: model(pixels).last_hidden_state[:, 0]
    if kind == "dinov2":
        model = shaken(transformers.Dinov2Model(transformers.Dinov2Config(**SHAPE, mlp_ratio=2)))
        return model, lambda pixels: model(pixels).last_hidden_state[:, 0]
    config = transformers.CLIPVisionConfig(**SHAPE, intermediate_size=96, projection_dim=24, hidden_act=kind)
    if kind == "quick_gelu":  # as published: images and text in one file
        text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        whole = transformers.CLIPConfig(
            text_config={**text, "vocab_size": 20}, vision_config=config.to_dict(), projection_dim=24
        )
        model = shaken(transformers.CLIPModel(whole))
        return model, lambda pixels: model.visual_projection(model.vision_model(pixels).pooler_output)
    model = shaken(transformers.CLIPVisionModelWithProjection(config))
    return model, lambda pixels: model(pixels).image_embeds


@pytest.mark.parametrize("kind", ["vit", "dinov2", "quick_gelu", "gelu"])
def test_a_folder_of_transformers_gives_its_features(kind: str, tmp_path: Path) -> None:
    model, wanted = transformers_model(kind)
    name = transformers_folder(tmp_path / "folder", model)
    encoder = load_encoder(EncoderChoice(name=name, device="cpu"))
    assert encoder.label == "folder"
    assert encoder.provenance["weights_found"].startswith(f"{len(encoder._model.state_dict())} weights by Transformers")
    with torch.inference_mode():
        np.testing.assert_allclose(features(encoder), wanted(as_transformers_sees(PATCHES)).numpy(), atol=2e-5)


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


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"model_type": "dinov2", "use_swiglu_ffn": True}, "use_swiglu_ffn is not built here"),
        ({"model_type": "vit", "hidden_act": "relu"}, "hidden_act 'relu' is not built here; wanted gelu;"),
        ({"model_type": "vit"}, r"preprocessor_config\.json: no such file"),
        ({"architecture": "torchscript"}, "no 'input_size'"),
    ],
)
def test_folders_that_would_need_a_guess_are_refused(config: dict[str, Any], match: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PathPluginsError, match=match):
        find_card(str(tmp_path))


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        ({"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3}, (256, 224, "bicubic")),
        ({"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}, (224, 224, "bilinear")),
    ],
)
def test_preprocessing_of_transformers(processor: dict[str, Any], wanted: tuple[int, int, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    found = find_card(str(tmp_path)).preprocess
    assert found == Preprocess(
        resize_px=wanted[0], crop_px=wanted[1], interpolation=wanted[2], mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)
    )
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 224}))
    with pytest.raises(PathPluginsError, match=r"says no \['image_mean', 'image_std'\]"):
        find_card(str(tmp_path))


def conch_by_hand(state: dict[str, Any], tokens: Any, heads: int) -> Any:
    """CONCH's pooler in single steps ``[B, D]`` of tokens ``[B, N, C]``."""
    norm = torch.nn.functional.layer_norm
    pooler = {k.removeprefix("attn_pool_contrast."): v for k, v in state.items() if k.startswith("attn_pool")}
    width = pooler["query"].shape[1]
    keys = norm(tokens, tokens.shape[-1:], pooler["ln_k.weight"], pooler["ln_k.bias"])
    query = norm(pooler["query"], (width,), pooler["ln_q.weight"], pooler["ln_q.bias"])  # [1, D]
    bias_q, bias_k, bias_v = pooler["attn.in_proj_bias"].chunk(3)
    q = (query @ pooler["attn.q_proj_weight"].T + bias_q).view(heads, -1)  # [heads, d]
    k = (keys @ pooler["attn.k_proj_weight"].T + bias_k).unflatten(-1, (heads, -1))  # [B, N, heads, d]
    v = (keys @ pooler["attn.v_proj_weight"].T + bias_v).unflatten(-1, (heads, -1))
    weights = (torch.einsum("hd,bnhd->bhn", q, k) * q.shape[1] ** -0.5).softmax(-1)
    mixed = torch.einsum("bhn,bnhd->bhd", weights, v).flatten(1)  # [B, D]
    out = mixed @ pooler["attn.out_proj.weight"].T + pooler["attn.out_proj.bias"]
    return norm(out, (width,), state["ln_contrast.weight"], state["ln_contrast.bias"])


def test_conch_is_trunk_pooler_and_norm_from_its_checkpoint(tmp_path: Path) -> None:
    card = tiny(find_card("conch"))
    source = shaken(build_model(card))
    state = source.state_dict()
    others = {
        "visual.proj_contrast": torch.zeros(24, 24),
        "visual.attn_pool_caption.query": torch.zeros(256, 24),
        "visual.ln_caption.weight": torch.zeros(24),
        "text.token_embedding.weight": torch.zeros(5, 8),
        "logit_scale": torch.ones(()),
    }
    torch.save({**{f"visual.{k}": v for k, v in state.items()}, **others}, tmp_path / "pytorch_model.bin")
    model = build_model(card, seed=1)
    loaded = load_weights(model, tmp_path / "pytorch_model.bin", unused=card.unused)
    assert (loaded.prefix, loaded.loaded) == ("visual.", len(state))
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        tokens = source.trunk.forward_features(pixels)
        torch.testing.assert_close(run(model, pixels), conch_by_hand(state, tokens, heads=2), atol=1e-5, rtol=1e-4)
    assert tokens.shape == (2, 17, 48)


def of(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in state.items()}


OPTIONS = argparse.Namespace(arch="x", lr=0.1, layers=[1, 2])
Checkpoint = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
#: what each project saves: from the weights of the trained encoder and those of another to the file
PROJECTS: dict[str, tuple[str, Checkpoint]] = {
    "supervised": (
        "test_resnet",
        lambda own, _: {
            "state_dict": {**own, "fc.1.weight": torch.zeros(20, 96), "fc.1.bias": torch.zeros(20)},
            "opt_state_dict": {},
            "epoch": 5,
        },
    ),
    "byol": (
        "test_resnet",
        lambda own, other: {
            "state_dict": {
                **of("net_target.net.", other),
                **of("net_online.net.", own),
                "projector_online.net.ln1.weight": torch.zeros(8, 96),
                "classifier_online.weight": torch.zeros(20, 96),
            },
            "itr": 7,
        },
    ),
    "moco": (
        "test_resnet",
        lambda own, other: {
            "arch": "resnet50",
            "state_dict": {
                **of("module.encoder_k.", other),
                **of("module.encoder_q.", own),
                "module.encoder_q.fc.0.weight": torch.zeros(9, 96),
                "module.queue": torch.zeros(9, 4),
            },
        },
    ),
    "simclr": (
        "test_resnet",
        lambda own, _: {
            "state_dict": {
                **of("convnet.", {**own, "fc.weight": torch.zeros(1000, 96)}),
                "projection.fc1.weight": torch.zeros(3, 96),
            },
            "hparams": OPTIONS,
        },
    ),
    "dino": (
        "test_vit",
        lambda own, other: {
            "student": of("module.backbone.", other),
            "teacher": {**of("backbone.", own), "head.mlp.0.weight": torch.zeros(4, 64)},
            "args": OPTIONS,
        },
    ),
    "mae": (
        "test_vit",
        lambda own, _: {
            "model": {**own, "mask_token": torch.zeros(1, 1, 9), "decoder_blocks.0.norm1.weight": torch.zeros(9)},
            "args": OPTIONS,
        },
    ),
}


@pytest.mark.parametrize("project", PROJECTS)
def test_checkpoints_of_self_supervised_projects(project: str, tmp_path: Path) -> None:
    architecture, checkpoint = PROJECTS[project]
    source, other = (timm.create_model(architecture, num_classes=0) for _ in range(2))
    torch.save(checkpoint(source.state_dict(), shaken(other).state_dict()), tmp_path / "w.pth.tar")
    encoder = load_encoder(EncoderChoice(name=architecture, weights=tmp_path / "w.pth.tar", device="cpu"))
    side = encoder.preprocess.crop_px
    pixels = torch.rand(2, 3, side, side)
    torch.testing.assert_close(run(encoder._model, pixels), run(source, pixels))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_torchscript_folder(tmp_path: Path) -> None:
    model = timm.create_model("test_vit", num_classes=0).eval()
    torch.jit.trace(model, torch.rand(1, 3, 160, 160)).save(str(tmp_path / "model.pt"))
    config = {"architecture": "torchscript", "input_size": [3, 160, 160], "mean": [0.5] * 3, "std": [0.25] * 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(EncoderChoice(name=str(tmp_path), device="cpu"))
    assert len(encoder.provenance["weights_sha256"]) == 64
    batch = np.stack([encoder.prepare(patch) for patch in PATCHES])
    pixels = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    np.testing.assert_allclose(encoder(batch), run(model, pixels).numpy(), atol=1e-5)
    with pytest.raises(PathPluginsError, match="comes with its weights"):
        load_encoder(EncoderChoice(name=str(tmp_path), random_seed=0, device="cpu"))
    (tmp_path / "model.pt").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"no TorchScript model.*torch\.jit\.trace"):
        load_encoder(EncoderChoice(name=str(tmp_path), device="cpu"))
