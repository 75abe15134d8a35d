"""A model directory with other options and the same weights."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.models.compose.view import derived


@pytest.fixture
def trained(
    vlm: Path, load: Callable[..., Any], processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What a training run leaves behind."""
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "saves"
    model = load(vlm)
    torch.nn.init.constant_(model.multi_modal_projector.scale_logit, 0.5)
    model.save_pretrained(out, max_shard_size="100KB")
    processor.save_pretrained(out)
    for name in (
        "optimizer.pt",
        "optimizer.bin",
        "training_args.bin",
        "mm_projector.bin",
        "scheduler.pt",
        "rng_state.pth",
    ):
        torch.save({}, out / name)
    for name in ("trainer_state.json", "all_results.json", "trainer_log.jsonl", "README.md", "loss.png"):
        (out / name).write_text("{}")
    (out / "checkpoint-5").mkdir()
    shutil.copyfile(next(out.glob("model-*.safetensors")), out / "adapter_model.safetensors")
    return out


def test_a_view_has_the_weights_linked_and_the_options_changed(trained: Path, load: Callable[..., Any]) -> None:
    view = derived(
        trained,
        config={"image_seq_length": 3, "projector_config": {"dropout": 0.4}},
        processor={"image_seq_length": 3, "coords_mpp": 0.5},
    )
    assert view.is_relative_to(trained.parent / "cache")
    model, source = load(view), load(trained)
    assert model.config.image_seq_length == 3
    assert model.multi_modal_projector.dropout.p == 0.4
    assert model.config.projector_config["scale_min"] == 0.8
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in model.state_dict().items())
    settings = AutoProcessor.from_pretrained(view).image_processor
    assert (settings.image_seq_length, settings.coords_mpp, settings.patches_per_wsi) == (3, 0.5, 20)

    names = {path.name for path in view.iterdir()}
    assert all((view / name).is_symlink() for name in names if name.endswith(".safetensors"))
    left = {path.name for path in trained.iterdir() if path.is_file()} - names
    assert left == {
        *("optimizer.pt", "optimizer.bin", "training_args.bin", "mm_projector.bin", "scheduler.pt", "rng_state.pth"),
        *("trainer_state.json", "all_results.json", "trainer_log.jsonl", "README.md", "loss.png"),
        "adapter_model.safetensors",
    }


@pytest.mark.parametrize("whole", [True, False], ids=["one file", "shards"])
def test_w29_a_selector_that_learns_starts_anew_in_a_view_and_goes_on_from_a_trained_one(
    trained: Path,
    load: Callable[..., Any],
    processor: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    whole: bool,
) -> None:
    """The projection is beside the linked weights; what was trained is not drawn again."""
    if whole:
        trained = tmp_path / "whole"
        load(tmp_path / "saves").save_pretrained(trained)
        processor.save_pretrained(trained)
        assert (trained / "model.safetensors").is_file()
    mode = {"vision_feature_select_mode": "prompt_topk", "image_seq_length": 4}
    view = derived(trained, config=mode, processor=mode)
    assert "token selector prompt_topk: its projection starts anew" in caplog.text
    assert not (view / "token_selector.safetensors").is_symlink()
    model, source = load(view), load(trained)
    assert model.config.question_marks["ends"]
    drawn = load_file(view / "token_selector.safetensors")["token_selector.text_query_projection.weight"]
    assert torch.equal(model.token_selector.text_query_projection.weight, drawn)
    assert drawn.abs().max() > 0
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in source.state_dict().items())
    torch.nn.init.constant_(model.token_selector.text_query_projection.weight, 0.25)
    model.save_pretrained(tmp_path / "again")
    processor.save_pretrained(tmp_path / "again")
    caplog.clear()
    longer = {"image_seq_length": 5}
    again = load(derived(tmp_path / "again", config=longer, processor=longer))
    assert (again.token_selector.text_query_projection.weight == 0.25).all()
    # Transformers writes here too where LLaMA-Factory, imported by an earlier test, has raised its level.
    assert "starts anew" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("pathplugins")]


def test_w28_options_of_one_selector_are_not_the_others(trained: Path) -> None:
    first = {"vision_feature_select_mode": "prumerge", "selector_config": {"k_per_token": 3}}
    view = derived(trained, config=first, processor={"vision_feature_select_mode": "prumerge"})
    assert read_json(view / "config.json")["selector_config"] == {"k_per_token": 3}
    second = {"vision_feature_select_mode": "stride"}
    assert read_json(derived(view, config=second, processor=second) / "config.json")["selector_config"] == {}
    with pytest.raises(PathPluginsError, match=r"stride has no option \['k_per_token'\]"):
        derived(trained, config={**second, "selector_config": {"k_per_token": 3}}, processor=second)


def test_nothing_to_change_is_the_directory_itself(trained: Path) -> None:
    config = {"image_seq_length": 6, "projector_config": {"scale_min": 0.8}}
    assert derived(trained, config=config, processor={"patches_per_wsi": 20}) == trained


def test_a_view_is_made_once_and_anew_after_training_went_on(trained: Path) -> None:
    def view(budget: int = 3) -> Path:
        return derived(trained, config={"image_seq_length": budget}, processor={"image_seq_length": budget})

    first = view()
    (trained / "trainer_log.jsonl").write_text("another line")
    assert view() == first
    assert view(4) != first
    shard = next(trained.glob("model-*.safetensors"))
    shard.write_bytes(shard.read_bytes())
    assert view() != first


@pytest.mark.parametrize(
    ("config", "reading", "message"),
    [
        (
            {"vision_feature_select_mode": "random_sampel"},
            {},
            "unknown token selector .* Did you mean 'random_sample'?",
        ),
        ({"image_seq_length": -2}, {}, "image_seq_length must be at least 0"),
        ({}, {"patches_per_wsi": 0}, "patches_per_wsi must be at least 1"),
        ({}, {"coords_mpp": -1.0}, "coords_mpp must be microns per pixel"),
        ({"projector_config": {"scale": 2}}, {}, r"gamma_mlp has no option \['scale'\]"),
        ({"projector_config": {"scale_min": 3.0}}, {}, "gamma_min must be below gamma_max"),
        ({"projector_config": {"scale_init": 1.5}}, {}, r"gamma_init: the gamma of .*saves is trained already; remove"),
    ],
)
def test_options_are_judged_as_in_composing(
    trained: Path, config: dict[str, Any], reading: dict[str, Any], message: str
) -> None:
    with pytest.raises(PathPluginsError, match=message):
        derived(trained, config=config, processor=reading)
    assert not (trained.parent / "cache").exists()


def test_other_bounds_are_said(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    """W25: the weights stay, so the scale moves."""
    with caplog.at_level(logging.WARNING):
        view = derived(trained, config={"projector_config": {"scale_min": 1.8, "scale_max": 1.9}}, processor={})
    assert "was trained with gamma 1.5470 (bounds 0.8 to 2.0)" in caplog.text
    assert "1.8 to 1.9 the same weights have gamma 1.8622" in caplog.text
    assert read_json(view / "config.json")["projector_config"]["scale_max"] == 1.9


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json and no preprocessor_config\.json"):
        derived(tmp_path, config={"image_seq_length": 3}, processor={})
