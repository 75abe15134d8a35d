"""Composing: what a directory holds and that it can be repeated (features W9, W19, W20, W26, W31)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.compose import compose, composed
from pathplugins.models.compose.projector import save_projector
from pathplugins.models.compose.selector_weights import save_selector
from pathplugins.models.compose.spec import SELECTOR_FILE, ComposeSpec
from pathplugins.models.connectors.mlp import GammaMLPConnector
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT
from pathplugins.weights.model_folder import INDEX

MakeSpec = Callable[..., ComposeSpec]


def test_a_directory_says_everything_about_itself(make_spec: MakeSpec, tmp_path: Path) -> None:
    """One source for every number: the model's and the processor's settings agree (W9, W31)."""
    spec = make_spec(coords_mpp=0.25, compat_coords_yx=True, use_prefix_lm_mask=True, seed=5)
    out = compose(spec, tmp_path / "new" / "vlm")
    assert {path.name for path in out.iterdir()} >= {
        "config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "generation_config.json",
        "tokenizer.json",
        "llm-model.safetensors",
        "vision_tower.safetensors",
        "projector.safetensors",
        INDEX,
    }
    config, processor = read_json(out / "config.json"), read_json(out / "preprocessor_config.json")
    assert config["model_type"] == "custom_llava"
    assert config["vision_config"].items() >= {"model_type": "longnet_vit", "in_chans": 10, "embed_dim": 24}.items()
    assert config["projector_config"] == {
        "type": "gamma_mlp",
        "dropout": 0.0,
        "scale_min": 0.8,
        "scale_max": 2.0,
        "scale_init": None,
    }
    assert config["image_seq_length"] == processor["image_seq_length"] == spec.image_seq_length
    assert config["vision_feature_select_mode"] == processor["vision_feature_select_mode"] == "random_sample"
    for key in ("patches_per_wsi", "patches_block", "coords_mpp", "compat_coords_yx", "seed"):
        assert processor[key] == getattr(spec, key)
    assert processor["feature_dim"] == 10
    assert config["use_prefix_lm_mask"] is True
    held = {key: file.name for file in out.glob("*.safetensors") for key in load_file(file)}
    assert read_json(out / INDEX)["weight_map"] == held


def test_the_same_specification_gives_the_same_weights(make_spec: MakeSpec, tmp_path: Path) -> None:
    """Fresh parts have their own seeds, and the caller's generator is left alone."""
    torch.manual_seed(11)
    wanted = torch.rand(1)
    torch.manual_seed(11)
    first, again = (compose(make_spec(), tmp_path / name) for name in ("a", "b"))
    assert torch.equal(torch.rand(1), wanted)
    for name in ("vision_tower.safetensors", "projector.safetensors"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    other = compose(make_spec(seed=1, random_vision_seed=1), tmp_path / "c")
    for name in ("vision_tower.safetensors", "projector.safetensors"):
        assert (first / name).read_bytes() != (other / name).read_bytes()


def test_released_weights_go_in_as_they_are(
    make_spec: MakeSpec, load: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """W20: the tower's file is read, checked and stored under its own names; nothing is random."""
    torch.manual_seed(2)
    tower = LongNetViT(LongNetConfig(in_chans=10, embed_dim=24, depth=3, num_heads=2, mlp_ratio=2.0))
    torch.save({"model": tower.state_dict()}, tmp_path / "slide_encoder.pth")
    options = {"num_heads": 2, "segment_lengths": [8, 20], "dilated_ratios": [1, 2]}
    spec = make_spec(vision_tower=str(tmp_path / "slide_encoder.pth"), random_vision_seed=None, vision_config=options)
    model = load(compose(spec, tmp_path / "vlm"))
    assert all(torch.equal(model.vision_tower.state_dict()[k], v) for k, v in tower.state_dict().items())
    assert (model.vision_tower.config.depth, model.vision_tower.config.segment_lengths) == (3, (8, 20))
    assert "RANDOM" not in caplog.text


def test_an_untrained_tower_is_said_aloud(
    make_spec: MakeSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        compose(make_spec(random_vision_seed=3), tmp_path / "vlm")
    assert "the vision tower has RANDOM weights (seed 3)" in caplog.text


def test_a_trained_connector_goes_in_and_comes_back(
    make_spec: MakeSpec, load: Callable[..., Any], tmp_path: Path
) -> None:
    """W26: written by training, read by composing."""
    torch.manual_seed(4)
    connector = GammaMLPConnector(24, 64, dropout=0.0)
    torch.nn.init.constant_(connector.scale_logit, 0.7)
    save_projector(connector.state_dict(), tmp_path, {"type": "gamma_mlp", "scale_min": 0.8, "scale_max": 2.0})
    for path in (tmp_path, tmp_path / "mm_projector.bin"):
        model = load(compose(make_spec(projector_path=str(path)), tmp_path / f"vlm-{path.name}"))
        got = model.multi_modal_projector.state_dict()
        assert all(torch.equal(got[name], value) for name, value in connector.state_dict().items())


def test_the_bounds_of_a_trained_scale_are_asked_for_where_nothing_records_them(
    make_spec: MakeSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """W25: published files hold the logit alone."""
    connector = GammaMLPConnector(24, 64, dropout=0.0, scale_min=1.2, scale_max=1.8)
    save_projector(connector.state_dict(), tmp_path, {"type": "gamma_mlp", "scale_min": 1.2, "scale_max": 1.8})

    def bounds(name: str, **options: float) -> tuple[float, float]:
        spec = make_spec(projector_path=str(tmp_path), projector_config={"dropout": 0.0, **options})
        config = read_json(compose(spec, tmp_path / name) / "config.json")["projector_config"]
        return config["scale_min"], config["scale_max"]

    assert bounds("recorded") == (1.2, 1.8)
    (tmp_path / "mm_projector.json").unlink()
    assert bounds("asked", scale_min=1.2, scale_max=1.8) == (1.2, 1.8)
    assert "does not say" not in caplog.text
    assert bounds("guessed", scale_max=1.9) == (0.8, 1.9)
    assert "taken are 0.8 to 1.9" in caplog.text
    assert "set gamma_min to what" in caplog.text


def test_what_is_rounded_is_said_and_float32_can_be_kept(
    make_llm: Callable[..., Path], make_spec: MakeSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    llm = shutil.copytree(make_llm(), tmp_path / "llm")
    write_json(llm / "config.json", {**read_json(llm / "config.json"), "torch_dtype": "bfloat16", "dtype": "bfloat16"})
    spec = make_spec(llm)
    exact = load_file(compose(replace(spec, keep_float32=True), tmp_path / "exact") / "vision_tower.safetensors")
    assert "rounded" not in caplog.text
    rounded = load_file(compose(spec, tmp_path / "rounded") / "vision_tower.safetensors")
    assert "torch.bfloat16, rounded from torch.float32" in caplog.text
    assert {value.dtype for value in exact.values()} == {torch.float32}
    assert all(torch.equal(value.bfloat16(), rounded[name]) for name, value in exact.items())
    assert replace(spec, keep_float32=True).fingerprint() != spec.fingerprint()


@pytest.mark.parametrize("source", ["file", "directory", "checkpoint"])
def test_w29_a_trained_selector_comes_with_the_connector(
    make_spec: MakeSpec, tmp_path: Path, load: Callable[..., Any], caplog: pytest.LogCaptureFixture, source: str
) -> None:
    """Beside ``mm_projector.bin``, which has no place for it, or in the checkpoint of the whole model."""
    spec = make_spec(vision_feature_select_mode="prompt_topk")
    model, stage_2 = load(compose(spec, tmp_path / "first")), tmp_path / "stage2"
    torch.nn.init.constant_(model.token_selector.text_query_projection.weight, 0.5)
    if source == "checkpoint":
        model.save_pretrained(stage_2)
    else:
        stage_2.mkdir()
        save_projector(model.multi_modal_projector.state_dict(), stage_2, model.config.projector_config)
        save_selector(model.token_selector.state_dict(), stage_2)
    path = stage_2 / "mm_projector.bin" if source == "file" else stage_2
    caplog.clear()

    def spec_of(**changes: Any) -> ComposeSpec:
        return make_spec(vision_feature_select_mode="prompt_topk", projector_path=str(path), **changes)

    before = spec_of().fingerprint()
    again = load(compose(spec_of(), tmp_path / "second"))
    assert (again.token_selector.text_query_projection.weight == 0.5).all()
    assert "projection starts anew" not in caplog.text
    if source == "checkpoint":
        return
    save_selector(SELECTORS.get("prompt_topk")(24, 32).state_dict(), stage_2)
    assert spec_of().fingerprint() != before
    with pytest.raises(CheckpointError, match=r"does not fit the token selector: .*wanted \(24, 64\)"):
        compose(spec_of(), tmp_path / "third")
    (stage_2 / SELECTOR_FILE).unlink()
    compose(spec_of(), tmp_path / "fourth")
    assert "holds no weights of the token selector: its projection starts anew" in caplog.text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"embed_dims": 24}, r"has no option \['embed_dims'\] \(did you mean 'embed_dim'\?\)"),
        ({"embed_dim": 26, "num_heads": 4}, "embed_dim must be a multiple of num_heads=4 and 4, got 26"),
    ],
)
def test_a_tower_that_cannot_be_built_is_said(
    make_spec: MakeSpec, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(PathPluginsError, match=message):
        compose(make_spec(vision_config=config), tmp_path / "vlm")
    assert list(tmp_path.iterdir()) == []


def test_a_full_directory_is_left_alone(make_spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "vlm").mkdir()
    compose(make_spec(), tmp_path / "vlm")
    before = sorted(path.name for path in (tmp_path / "vlm").iterdir())
    with pytest.raises(PathPluginsError, match=r"vlm exists and is not an empty directory; choose another --out"):
        compose(make_spec(), tmp_path / "vlm")
    assert sorted(path.name for path in (tmp_path / "vlm").iterdir()) == before


def test_partial_weights_leave_nothing_behind(make_spec: MakeSpec, tmp_path: Path) -> None:
    torch.save({"linear_1.weight": torch.zeros(64, 24)}, tmp_path / "mm_projector.bin")
    with pytest.raises(
        CheckpointError, match=r"mm_projector\.bin does not fit the connector GammaMLPConnector: 8 missing"
    ):
        compose(make_spec(projector_path=str(tmp_path / "mm_projector.bin")), tmp_path / "vlm")
    assert [path.name for path in tmp_path.iterdir()] == ["mm_projector.bin"]


def test_the_cache_knows_specifications_apart(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))
    first = composed(make_spec())
    assert composed(make_spec()) == first
    assert composed(make_spec(image_seq_length=4)) != first
