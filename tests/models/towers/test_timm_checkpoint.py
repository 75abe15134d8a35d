"""Weights of patch encoders for timm towers: directories, files with a card, other image sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm_eyes import PIXELS, SIDE, eye, folder_of, model_of, settled
from tiny_encoders import PROCESSOR, features, tiny, transformers_model

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.encoders.build import build_model
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.registry import ENCODERS
from pathplugins.models.custom_llava.image_processing import TiledImageProcessor
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.timm_checkpoint import read_timm
from pathplugins.published.encoders import CARDS
from pathplugins.published.preprocessing import Preprocess

timm = pytest.importorskip("timm")


@pytest.fixture
def small_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every published row with a model small enough for a test; what makes it that encoder stays."""
    for card in CARDS:
        pixels = replace(card.preprocess, resize_px=SIDE, crop_px=SIDE)
        monkeypatch.setitem(ENCODERS._targets, card.name, replace(tiny(card), preprocess=pixels, clip=""))


@pytest.mark.parametrize("name", [card.name for card in CARDS])
def test_every_row_of_the_encoder_table_can_be_the_eye(name: str, small_cards: None, tmp_path: Path) -> None:
    """One row serves both: the tower sees what `pathdata features` sees."""
    card = ENCODERS.get(name)
    model = settled(build_model(card))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    options, state = read_timm(str(tmp_path / "w.pth"), {"encoder": name, "select_layer": None})
    tower = TOWERS.get("timm").build(options).eval()
    tower.load_state_dict(state)
    encoder = load_encoder(EncoderChoice(name=name, weights=tmp_path / "w.pth", device="cpu"))
    patch = np.random.default_rng(0).integers(0, 255, (45, 45, 3), np.uint8)
    seen: list[torch.Tensor] = []
    trunk = getattr(encoder._model, "trunk", encoder._model)
    next(trunk.children()).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    features_of(encoder, patch)
    pixels = card.preprocess
    processor = TiledImageProcessor(
        tile_size=tower.tile_size,
        tokens_per_tile=tower.tokens_per_tile,
        image_aspect_ratio="pad",
        image_mean=pixels.mean,
        image_std=pixels.std,
        interpolation=pixels.interpolation,
    )
    tiles = processor([Image.fromarray(patch)])["pixel_values"]
    torch.testing.assert_close(tiles, seen[0], atol=2e-6, rtol=1e-5)
    with torch.inference_mode():
        _, tokens = tower(tiles)
        output = trunk.forward_intermediates if hasattr(trunk, "forward_intermediates") else None
        depth = len(trunk.feature_info) if output else 0
        layer = {"resnet50-clam": 3}.get(name, -2 if hasattr(trunk, "blocks") else -1)
        assert options["select_layer"] == layer
        if output and layer == -2:
            (wanted,) = output(tiles, indices=[depth - 2], norm=False, intermediates_only=True)  # [T, C, h, w]
        else:
            wanted = trunk(tiles)[-1] if name == "resnet50-clam" else trunk.forward_features(tiles)
            wanted = wanted.permute(0, 3, 1, 2) if name == "ctranspath" else wanted  # Swin's maps have their width last
    torch.testing.assert_close(tokens, wanted.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)
    assert options["encoder"] == name


def features_of(encoder: Any, patch: np.ndarray) -> np.ndarray:
    return encoder(encoder.prepare(patch)[None])


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [("vit", 1), ("dinov2", 1), ("gated", 1), ("registers", 4), ("siglip", 0), ("quick_gelu", 1), ("gelu", 1)],
)
def test_a_folder_of_transformers_is_an_eye(kind: str, prefix: int, tmp_path: Path) -> None:
    """As Phikon, Phikon v2, Midnight, Hibou, SigLIP 2 and CLIP lie on the hub: the last block but one, in float64."""
    model, _ = transformers_model(kind)
    model.save_pretrained(tmp_path / "hub")
    write_json(tmp_path / "hub" / "preprocessor_config.json", PROCESSOR)
    options, state = read_timm(str(tmp_path / "hub"), {})
    tower = TOWERS.get("timm").build(options).eval()
    tower.load_state_dict(state)
    assert (options["prefix_tokens"], tower.tokens_per_tile) == (prefix, 16)
    assert tower.preprocess == Preprocess(
        resize_px=SIDE, crop_px=SIDE, interpolation="bilinear", mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)
    )
    images = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64)
    vision, seen = getattr(model, "vision_model", model).double().eval(), []
    (first,) = (part for name, part in vision.named_modules() if name in ("encoder.layer.0", "encoder.layers.0"))
    first.register_forward_hook(lambda _, __, output: seen.append(output))  # of two layers
    with torch.inference_mode():
        vision(images)
        cls, tokens = tower.double()(images)
    hidden = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    torch.testing.assert_close(tokens, hidden[:, prefix:], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(cls, hidden[:, 0] if prefix else hidden.mean(1), atol=1e-6, rtol=1e-6)


def test_a_directory_gives_weights_and_preprocessing(tmp_path: Path) -> None:
    made = eye("vit", tmp_path / "towers" / "mine")
    assert (made.options["encoder"], made.options["image_size"]) == ("mine", SIDE)
    assert tuple(made.options["image_mean"]) == PIXELS.mean
    assert made.tower.preprocess == replace(PIXELS, resize_px=SIDE)
    for name, value in made.state.items():
        assert torch.equal(value, made.model.state_dict()[name.removeprefix("encoder.")]), name
    assert not [name for name in made.state if name.startswith(("encoder.blocks.5.", "encoder.norm."))]


def test_a_card_wins_over_the_config_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of UNI 2, whose config.json lacks arguments that its page names."""
    folder = folder_of("registers", tmp_path / "eye", model_of("registers"))
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "model_args": {"img_size": SIDE}})
    with pytest.raises(CheckpointError, match="does not fit"):
        read_timm(str(folder), {})
    card = replace(ENCODERS.get("uni"), architecture="test_vit", timm_kwargs=config["model_args"], preprocess=PIXELS)
    monkeypatch.setitem(ENCODERS._targets, "uni", card)
    assert read_timm(str(folder), {"encoder": "uni"})[0]["prefix_tokens"] == 3


@pytest.mark.parametrize("kind", ["vit", "registers", "resnet"])
def test_another_image_size(kind: str, tmp_path: Path) -> None:
    """Resized once, the position embeddings give what timm's own resizing at every step gives."""
    made = eye(kind, tmp_path / "eye", image_size=48, select_layer=-1)
    assert (made.options["image_size"], made.tower.tokens_per_tile) == (48, 9 if kind != "resnet" else 4)
    own = model_of(kind, **({} if kind == "resnet" else {"dynamic_img_size": True}))
    own.load_state_dict(made.model.state_dict())
    x = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        wanted = own.eval().forward_features(x)
        wanted = wanted[:, own.num_prefix_tokens :] if kind != "resnet" else wanted.flatten(2).transpose(1, 2)
        torch.testing.assert_close(made.tower(x)[1], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"w\.pth is a file of weights.*set vision_config: \{encoder: NAME\}.*import-weights NAME"),
        ({"encoder": "uny"}, "unknown encoder 'uny'. Did you mean 'uni'"),
        ({"encoder": "pathgen-clip"}, "a CLIP whose activation is open; read it with vision_model_name: clip"),
        ({"encoder": "test_vit", "hidden_size": 64}, "hidden_size in vision_config: the encoder tells that; remove it"),
        ({"encoder": "test_vit"}, "does not fit: of the encoder's"),
        (
            {"encoder": "test_vit", "image_size": 50},
            "image size 50 is no multiple of the 16 px patches .*take 48 or 64",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    torch.save(model_of("resnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(PathPluginsError, match=message):
        read_timm(str(tmp_path / "w.pth"), options)


def test_a_directory_without_weights_names_what_it_holds(tmp_path: Path) -> None:
    folder = folder_of("vit", tmp_path / "eye", model_of("vit"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors or .*, only config\.json; name"):
        read_timm(str(folder), {})


def test_features_of_the_directory_are_those_of_the_model(tmp_path: Path) -> None:
    made = eye("resnet", tmp_path / "eye", select_layer=-1)
    encoder = load_encoder(EncoderChoice(name=str(made.folder), device="cpu"))
    assert features(encoder).shape == (3, made.tower.hidden_size)
