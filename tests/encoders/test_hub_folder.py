"""Folders of the hub in timm's and Transformers' formats."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from tiny_encoders import PATCHES, PROCESSOR, as_transformers_sees, features, transformers_model

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.hub_folder import folder_card, from_timm
from pathplugins.encoders.load_weights import load_weights, sha256
from pathplugins.encoders.registry import find_card
from pathplugins.published.preprocessing import Preprocess

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def transformers_folder(folder: Path, model: Any, **processor: Any) -> str:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    return str(folder)


@pytest.mark.parametrize("kind", ["vit", "dinov2", "gated", "registers", "siglip", "quick_gelu", "gelu"])
def test_a_folder_of_transformers_gives_its_features(kind: str, tmp_path: Path) -> None:
    model, wanted = transformers_model(kind)
    name = transformers_folder(tmp_path / "folder", model)
    encoder = load_encoder(EncoderChoice(name=name, device="cpu"))
    assert encoder.label == "folder"
    assert encoder.provenance["weights_found"].startswith(f"{len(encoder._model.state_dict())} weights by Transformers")
    with torch.inference_mode():
        np.testing.assert_allclose(features(encoder), wanted(as_transformers_sees(PATCHES)).numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", ["dinov2", "registers"])
def test_positions_are_resized_to_the_pictures_as_transformers_does(kind: str, tmp_path: Path) -> None:
    """As of facebook/dinov2-*: 37 x 37 positions, pictures of 16 x 16 patches."""
    model, wanted = transformers_model(kind)
    size = {"height": 48, "width": 48}
    name = transformers_folder(tmp_path / "folder", model, size=size)
    encoder = load_encoder(EncoderChoice(name=name, device="cpu"))
    assert "position embeddings resized from 4 x 4 to 6 x 6" in encoder.provenance["weights_found"]
    pixels = np.stack([encoder.prepare(patch) for patch in PATCHES])
    with torch.inference_mode():
        np.testing.assert_allclose(encoder(pixels), wanted(as_transformers_sees(pixels)).numpy(), atol=2e-5)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"model_type": "dinov2", "hidden_act": "silu"}, "hidden_act 'silu' is not built here; wanted gelu;"),
        ({"model_type": "siglip", "hidden_act": "gelu"}, "hidden_act 'gelu' is not built here; wanted gelu_pytorch_t"),
        ({"model_type": "vit", "hidden_act": "relu"}, "hidden_act 'relu' is not built here; wanted gelu;"),
        ({"model_type": "vit"}, r"preprocessor_config\.json: no such file"),
        ({"architecture": "torchscript"}, "lacks 'input_size'"),
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
    with pytest.raises(PathPluginsError, match=r"lacks \['image_mean', 'image_std'\]; .*download it again"):
        find_card(str(tmp_path))


def test_local_hub_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-encoder"
    folder.mkdir()
    with pytest.raises(PathPluginsError, match=r"no config\.json"):
        find_card(str(folder))
    config = {
        "architecture": "test_vit",
        "model_args": {"img_size": 96},
        "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 0.5, "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "pytorch_model.bin").touch()
    card = find_card(str(folder))
    assert (card.name, card.architecture, card.timm_kwargs) == ("my-encoder", "test_vit", {"img_size": 96})
    assert card.weights == folder / "pytorch_model.bin"
    assert card.preprocess == Preprocess(resize_px=192, crop_px=96, mean=(0.1, 0.2, 0.3), std=(1, 1, 1))
    with pytest.raises(PathPluginsError, match="--weights"):
        find_card(str(folder / "pytorch_model.bin"))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(PathPluginsError, match=r"no timm 'architecture'.*\['model_type'\]"):
        find_card(str(folder))


def test_shards_are_the_weights_of_a_folder_as_one_file_is(tmp_path: Path) -> None:
    model = build_model(find_card("test_vit"), 3)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    config = {"architecture": "test_vit", "pretrained_cfg": {"input_size": [3, 160, 160]}}
    for name in ("whole", "shards"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    save_file(state, tmp_path / "whole" / "model.safetensors")
    where = {name: f"model-{1 + number % 2:05}-of-00002.safetensors" for number, name in enumerate(state)}
    for file in {*where.values()}:
        save_file({name: state[name] for name in state if where[name] == file}, tmp_path / "shards" / file)
    index = tmp_path / "shards" / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    found = {}
    for name in ("whole", "shards"):
        card = find_card(str(tmp_path / name))
        found[name] = build_model(card, 4)
        load_weights(found[name], card.weights)
    assert all(torch.equal(value, found["shards"].state_dict()[name]) for name, value in state.items())
    assert sha256(index) == sha256(tmp_path / "shards") != sha256(tmp_path / "whole" / "model.safetensors")
    shard = tmp_path / "shards" / where[next(iter(state))]
    with pytest.raises(CheckpointError, match="one of several files that hold the weights together; pass the folder"):
        load_weights(found["whole"], shard)
    shard.unlink()
    with pytest.raises(CheckpointError, match=r"1 of the 2 files named in model\.safetensors\.index\.json"):
        load_weights(found["whole"], index)


def test_timm_preprocessing() -> None:
    found = from_timm({"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"})
    assert (found.resize_px, found.crop_px, found.interpolation) == (256, 224, "bilinear")


@pytest.mark.parametrize(
    "config", ["[" * 5000, "[]", '{"model_type": "vit", "hidden_size": 0}', '{"architecture": 1, "input_size": 3}']
)
def test_a_configuration_of_another_kind_is_an_error_that_names_the_folder(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {}, "image_mean": 1, "image_std": 1}')
    with pytest.raises(PathPluginsError, match=re.escape(str(tmp_path))):
        folder_card(tmp_path)
