"""The vision tower of a LLaVA: inside the checkpoint, or the CLIP it names, the same bits or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llava_parts as parts
import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.models.foreign.llava.settings import LlavaSettings
from pathplugins.models.foreign.llava.tower import place_tower
from pathplugins.weights import Stored, open_weights


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return parts.clip_directory(tmp_path / "clip")


def inside(folder: Path) -> dict[str, Stored]:
    """The tower's weights as a LLaVA holds them, by bare names."""
    stored = open_weights(folder).stored
    return {name.removeprefix("vision_model."): value for name, value in stored.items() if "vision_model." in name}


def settings(**changes: Any) -> LlavaSettings:
    given = {"layout": "llava", "text": {}, "connector": "linear", "select_layer": -2, "tower_name": "somewhere/clip"}
    return LlavaSettings(**{**given, **changes})


def place(tmp_path: Path, weights: dict[str, Stored], told: LlavaSettings, **options: Any) -> tuple[str, dict, str]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return place_tower(tmp_path / "llava", told, weights, work, **options)


def test_a_tower_that_is_named_and_not_inside(tmp_path: Path, clip: Path) -> None:
    named = settings(tower_name=str(clip))
    assert place(tmp_path, {}, named) == (str(clip), {"select_layer": -2}, str(clip))
    with pytest.raises(CheckpointError, match=r"'somewhere/clip', which it names, is not there: .*--vision-tower"):
        place(tmp_path, {}, settings())


def test_the_tower_inside_is_written_with_the_settings_its_shapes_tell(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(CheckpointError, match=r"do not tell the activation: give --vision-tower, or --activation"):
        place(tmp_path, inside(clip), settings())
    folder, _, told_by = place(tmp_path, inside(clip), settings(), activation="gelu")
    assert told_by == "the checkpoint"
    wanted, written = read_json(clip / "config.json"), read_json(Path(folder) / "config.json")
    wanted = wanted.get("vision_config", wanted)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "image_size", "patch_size")
    assert {name: written[name] for name in names} == {name: wanted[name] for name in names}
    ours, theirs = open_weights(folder), inside(clip)
    assert all(torch.equal(ours[f"vision_model.{name}"], value.read()) for name, value in theirs.items())


def test_a_frozen_tower_must_be_the_named_one(tmp_path: Path, clip: Path) -> None:
    _, _, told_by = place(tmp_path, inside(clip), settings(), vision_tower=str(clip))
    assert told_by.endswith("the same as in the checkpoint")
    state = dict(open_weights(clip))
    name = next(name for name in state if name.endswith("layers.0.mlp.fc1.bias"))
    save_file({**state, name: state[name] + 1}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"clip is not the vision tower of .*llava: 1 of \d+ tensors differ"):
        place(tmp_path, inside(tmp_path / "other.safetensors"), settings(), vision_tower=str(clip))


def test_transformers_holds_its_tower_itself(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds its vision tower; leave --vision-tower out"):
        place(tmp_path, {}, settings(layout="hf-llava", vision={}), vision_tower=str(clip))
