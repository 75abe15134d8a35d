"""Models whose eye is a patch encoder of timm: the directory stands by itself and says how pictures are prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from timm_eyes import KINDS, PIXELS, SIDE, folder_of, model_of
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig

timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, make_vlm: Callable[..., Path], make_llm: Callable[..., Path]
) -> Callable[..., tuple[Any, Path]]:
    """(timm's model, the composed directory) of a kind of encoder."""
    models = {kind: model_of(kind) for kind in ("registers", "resnet")}
    folders = {kind: folder_of(kind, tmp_path_factory.mktemp(kind) / "eye", model) for kind, model in models.items()}

    def make(kind: str, **more: Any) -> tuple[Any, Path]:
        options = {"vision_model_name": "timm", "vision_tower": str(folders[kind]), "random_vision_seed": None}
        options |= {"vision_config": {}, "mm_projector_type": "mlp2x_gelu", "projector_config": {}}
        options |= {"image_aspect_ratio": "pad", **more}
        return models[kind], make_vlm(make_llm(tied=False), **options)

    return make


@pytest.mark.parametrize("kind", ["registers", "resnet"])
def test_the_directory_says_all_and_its_features_are_timms(
    kind: str, make: Callable[..., Any], load: Callable[..., Any]
) -> None:
    model, directory = make(kind)
    told = read_json(directory / "config.json")["vision_config"]
    assert (told["model_type"], told["architecture"], told["encoder"]) == ("timm", KINDS[kind][0], "eye")
    settings = read_json(directory / "preprocessor_config.json")
    assert (settings["tile_size"], settings["interpolation"]) == (SIDE, PIXELS.interpolation)
    assert (settings["image_mean"], settings["image_std"]) == ([*PIXELS.mean], [*PIXELS.std])
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (61, 61, 3), np.uint8))
    pixels = AutoProcessor.from_pretrained(directory)("<image>", [picture])["pixel_values"]
    resized = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    wanted = ((resized - PIXELS.mean) / PIXELS.std).transpose(2, 0, 1)
    torch.testing.assert_close(pixels[0].double().numpy(), wanted, atol=2e-6, rtol=1e-5)
    with torch.inference_mode():
        _, tokens = load(directory).vision_tower(pixels)
        if kind == "resnet":
            wanted = model.forward_features(pixels).flatten(2).transpose(1, 2)
        else:
            options = {"indices": [len(model.blocks) - 2], "intermediates_only": True, "output_fmt": "NLC"}
            (wanted,) = model.forward_intermediates(pixels, **options)
    torch.testing.assert_close(tokens, wanted, atol=1e-5, rtol=1e-5)


def test_a_selector_ranks_by_the_attention_of_a_transformer(make: Callable[..., Any], load: Callable[..., Any]) -> None:
    _, directory = make("registers", vision_feature_select_mode="prumerge", image_seq_length=2)
    inputs = AutoProcessor.from_pretrained(directory)("<image>", [Image.new("RGB", (50, 40), (9, 120, 200))])
    assert load(directory)(**inputs).logits.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "layer", "said"),
    [("resnet", None, "test_resnet has no class token whose attention"), ("registers", 40, r"layer to look .* got 40")],
)
def test_attention_that_nobody_can_look_at_is_refused_before_a_model_is_made(
    make: Callable[..., Any], kind: str, layer: int | None, said: str
) -> None:
    chosen = {"vision_feature_select_mode": "prumerge", "image_seq_length": 2}
    with pytest.raises(PathPluginsError, match=said):
        make(kind, **chosen, selector_config={"layer": layer})


def test_anyres_and_merged_tiles_work_on_it(make: Callable[..., Any], load: Callable[..., Any]) -> None:
    """As PA-LLaVA, with another eye."""
    more = {"mm_projector_type": "scale_invariant", "image_aspect_ratio": "anyres"}
    more["projector_config"] = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    _, directory = make("registers", **more)
    inputs = AutoProcessor.from_pretrained(directory)("<image>", [Image.new("RGB", (61, 39))])
    assert inputs["pixel_values"].shape == (5, 3, SIDE, SIDE)
    assert load(directory)(**inputs).logits.isfinite().all()


def test_weights_are_the_encoders(make: Callable[..., Any]) -> None:
    model, directory = make("registers")
    saved, own = load_file(directory / "vision_tower.safetensors"), model.state_dict()
    assert len(saved) > 40
    for name, value in saved.items():
        name = name.removeprefix("vision_tower.encoder.").replace("factor", "gamma")
        assert torch.equal(value, own[name]), name


@pytest.mark.parametrize("wrong", ["image_sise", "blocks"])
def test_a_mistyped_option_of_a_directory_is_refused(wrong: str, make: Callable[..., Any]) -> None:
    _, directory = make("registers")
    config = read_json(directory / "config.json")
    config["vision_config"][wrong] = 3
    with pytest.raises(PathPluginsError, match=rf"vision_config of timm has no option \['{wrong}'\].*image_size"):
        CustomLlavaConfig.from_dict(config)
