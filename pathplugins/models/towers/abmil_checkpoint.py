"""Weights of gated-attention slide encoders: read a file or folder, tell its layout and shape, take it whole or not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.towers.abmil import AbmilTower
from pathplugins.models.towers.abmil_config import AbmilConfig
from pathplugins.published.slide_models import CHIEF, FEATHER_BY_WIDTH
from pathplugins.weights import read_weights
from pathplugins.weights.compare import few, mismatch
from pathplugins.weights.names.abmil import LAYOUTS, MIL_LAB, ONLY_CHIEF, Layout, to_ours

FEATHER_SHAPE = (512, 384)
"""Hidden width and width of the gates of all published ones."""

logger = logging.getLogger(__name__)


def read_abmil(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all options and weights; ``options`` add what no shape tells.

    Tensors may lie behind one common prefix (``model.``, ``module.``).

    Raises:
        CheckpointError: not exactly one encoder of this kind, or one of another shape than ``options`` say.
    """
    found = read_weights(path)
    layout, prefix = _layout(found, path)
    bare = {name[len(prefix) :]: tensor for name, tensor in found.items() if name.startswith(prefix)}
    state = {ours: tensor for name, tensor in bare.items() if (ours := to_ours(name, layout)) is not None}
    state |= {name: tensor for name, tensor in found.items() if not name.startswith(prefix)}  # none is expected
    config = _config(state, path)
    with torch.device("meta"):
        wanted = AbmilTower(config).state_dict()
    if report := mismatch(wanted, state):
        raise CheckpointError(
            f"{path}: {len(state)} tensors read of {layout.name}, {len(wanted)} wanted: {report}; weights are taken "
            "whole or not at all. Read are encoders with one linear layer and one gated attention"
        )
    told = {name: getattr(config, name) for name in ("feature_dim", "hidden_dim", "attention_dim")}
    if wrong := {name: value for name, value in told.items() if options.get(name, value) != value}:
        asked = {name: options[name] for name in wrong}
        raise CheckpointError(f"{path} has {wrong} but vision_config says {asked}; remove these entries")
    if "encoder" not in options:
        options = {**options, "encoder": _encoder(bare, config, layout, path)}
    return vars(AbmilConfig(**{**told, **options})), state


def _layout(found: Mapping[str, Any], path: str) -> tuple[Layout, str]:
    """Return which project's names these are, and what stands before all of them."""
    for layout in LAYOUTS:
        probe = f"{layout.first}.weight"
        prefixes = [name.removesuffix(probe) for name in found if f".{name}".endswith(f".{probe}")]
        if len(prefixes) == 1:
            return layout, prefixes[0]
    probes = " or ".join(f"{layout.first}.weight of {layout.name}" for layout in LAYOUTS)
    raise CheckpointError(
        f"{path}: no slide encoder with gated attention: wanted {probes}, got {len(found)} tensors: {few(found)}; name "
        f"CHIEF_pretraining.pth, the folder of a Feather ({Path(path).name} is neither), or a checkpoint of CLAM"
    )


def _config(state: Mapping[str, Tensor], path: str) -> AbmilConfig:
    shapes = {name: tuple(state[name].shape) for name in ("embed.weight", "gate_tanh.weight") if name in state}
    if len(shapes) < 2 or any(len(shape) != 2 for shape in shapes.values()):
        raise CheckpointError(
            f"{path}: its attention has no gates, or is missing ({few(state)}); read are encoders with gated attention"
        )
    if (score := state.get("score.weight")) is not None and len(score) != 1:
        raise CheckpointError(
            f"{path}: its attention has {len(score)} branches, and a slide here has one token; train one with a single "
            "branch (CLAM: clam_sb)"
        )
    hidden, features = shapes["embed.weight"]
    return AbmilConfig(feature_dim=features, hidden_dim=hidden, attention_dim=shapes["gate_tanh.weight"][0])


def _encoder(bare: Mapping[str, Any], config: AbmilConfig, layout: Layout, path: str) -> str | None:
    """Return the patch encoder of a published file, which is told by what it holds; None for others."""
    shape = (config.hidden_dim, config.attention_dim)
    encoder, name = None, ""
    if ONLY_CHIEF in bare:
        encoder, name = CHIEF.patch_encoder, CHIEF.title
    elif layout is MIL_LAB and shape == FEATHER_SHAPE and not any(key.startswith("classifier.") for key in bare):
        feather = FEATHER_BY_WIDTH.get(config.feature_dim)
        encoder, name = (feather.patch_encoder, feather.title) if feather else (None, "")
    if encoder:
        logger.warning(
            "%s looks like %s, so bags of another patch encoder than %s are refused; vision_config: {encoder: NAME} "
            "says otherwise",
            *(path, name, encoder),
        )
    return encoder
