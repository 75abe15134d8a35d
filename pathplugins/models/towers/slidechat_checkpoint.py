"""SlideChat's slide encoder weights: read a checkpoint, tell its shape, take it whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.models.towers.slidechat import SlideChatTower
from pathplugins.models.towers.slidechat_config import SlideChatConfig
from pathplugins.weights import open_weights
from pathplugins.weights.compare import few, mismatch
from pathplugins.weights.names.slidechat import TOWER

_PREFIXES = (TOWER, "vision_tower.", "")
"""What stands before the names: in SlideChat's checkpoints, in models of ours, in the tower by itself."""
_DECIDE = ("attend", "num_heads", "segment_lengths", "dilated_ratios")
_PROBE = "layers.0.ffn.fc1.weight"


def read_slidechat(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all options and weights of the tower; ``options`` add what no shape tells.

    Args:
        path: ``iter_N.pth`` of SlideChat's XTuner (a file, or a folder that DeepSpeed wrote), or a trained model of
            ours or its checkpoint, of which the tower alone is read.
        options: ``vision_config``.

    Raises:
        CheckpointError: There is no whole slide encoder.
    """
    weights = open_weights(path)
    names = {name.removeprefix("module.").removeprefix("llm."): name for name in weights.names()}
    prefix = next((prefix for prefix in _PREFIXES if prefix + _PROBE in names), None)
    if prefix is None:
        raise CheckpointError(
            f"{path} holds no slide encoder of SlideChat ({TOWER}{_PROBE}) among {len(names)} tensors: {few(names)}; "
            "give stage1_pth or stage2_pth of SlideChat_Weight, or the output of a training"
        )
    state = {name.removeprefix(prefix): weights[stored] for name, stored in names.items() if name.startswith(prefix)}
    if prefix == TOWER and options.get("attend"):
        raise CheckpointError(
            f"{path} is of SlideChat's own code, where patches never see each other, and vision_config says attend: "
            "true, under which these weights mean nothing; remove one of the two"
        )
    recorded = _recorded(Path(path))
    asked = {name: _plain(options[name]) for name in recorded if name in options}
    if wrong := [name for name, value in asked.items() if value != recorded[name]]:
        had, wants = ({name: values[name] for name in wrong} for values in (recorded, asked))
        raise CheckpointError(f"{path} was trained with {had}, vision_config says {wants}; remove these entries")
    config = SlideChatConfig(**{**recorded, **told_by(state), **options})
    with torch.device("meta"):
        wanted = SlideChatTower(config).state_dict()
    if report := mismatch(wanted, state):
        raise CheckpointError(
            f"{path}: {len(state)} tensors of the slide encoder read, {len(wanted)} wanted: {report}; weights are "
            "taken whole or not at all: is the download complete, and does vision_config say the same?"
        )
    return vars(config), state


def _recorded(path: Path) -> dict[str, Any]:
    """Return what decides the tokens besides the shapes, as a trained model of ours records it; else nothing."""
    if not (path / "config.json").is_file():
        return {}
    vision = read_json(path / "config.json").get("vision_config", {})
    return {name: vision[name] for name in _DECIDE if name in vision}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # JSON has lists only


def told_by(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the options that the shapes of a state dict tell."""
    ffn_dim, embed_dim = state[_PROBE].shape
    layers = {name.split(".")[1] for name in state if name.startswith("layers.")}
    return {"embed_dim": embed_dim, "ffn_dim": ffn_dim, "depth": len(layers)}
