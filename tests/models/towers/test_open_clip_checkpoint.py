"""An OpenCLIP checkpoint: its architecture by shapes, its activation by the configuration beside it or by the user."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_open_clip import write_open_clip

from pathplugins.core.errors import CheckpointError
from pathplugins.models.towers.open_clip_checkpoint import (
    CONFIG,
    check_architecture,
    describe,
    open_clip_file,
    read_open_clip,
)


def test_shapes_tell_the_model_and_the_configuration_its_activation(tmp_path: Path) -> None:
    file = write_open_clip(tmp_path / "open_clip_pytorch_model.bin")
    assert open_clip_file(tmp_path) == open_clip_file(file) == file
    checkpoint = read_open_clip(file)
    assert checkpoint.vision == {
        **{"hidden_size": 64, "num_hidden_layers": 3, "patch_size": 7, "image_size": 28, "intermediate_size": 99},
        **{"num_attention_heads": 1, "num_channels": 3, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    }
    assert (checkpoint.told_by, checkpoint.text, checkpoint.projection_dim) == (CONFIG, None, 20)
    assert describe(checkpoint).startswith("no listed architecture (3 layers of width 64, patches of 7 px")
    with pytest.raises(CheckpointError, match=r"is no ViT-B/16: its weights are no listed architecture"):
        check_architecture(checkpoint, "ViT-B/16")


def test_the_activation_is_asked_for_where_nothing_tells_it(tmp_path: Path) -> None:
    file = write_open_clip(tmp_path / "mine.pt")
    with pytest.raises(CheckpointError, match=rf"{CONFIG} beside it says quick_gelu, you say gelu; remove one"):
        read_open_clip(file, activation="gelu")
    (tmp_path / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"mine\.pt .*the weights do not tell the activation"):
        read_open_clip(file)
    assert read_open_clip(file, activation="gelu").told_by == "you"


def test_heads_are_told_or_follow_from_the_width(tmp_path: Path) -> None:
    file = write_open_clip(tmp_path / "mine.pt", width=96)
    with pytest.raises(CheckpointError, match=r"a width of 96 is no multiple of 64.*give num_attention_heads"):
        read_open_clip(file)
    settings = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).unlink()
    assert read_open_clip(file, heads=3, activation="gelu").vision["num_attention_heads"] == 3
    settings["model_cfg"]["vision_cfg"]["head_width"] = 32
    (tmp_path / CONFIG).write_text(json.dumps(settings))
    assert read_open_clip(file).vision["num_attention_heads"] == 3


def test_other_models_are_named(tmp_path: Path) -> None:
    torch.save({"visual.trunk.patch_embed.proj.weight": torch.ones(2)}, tmp_path / "timm.pt")
    assert open_clip_file(tmp_path / "timm.pt") is None
    assert open_clip_file(tmp_path) is None
    with pytest.raises(CheckpointError, match=r"among 1 tensors, found a timm model, and only OpenCLIP's own vision"):
        read_open_clip(tmp_path / "timm.pt", activation="gelu")
