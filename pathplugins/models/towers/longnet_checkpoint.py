"""Slide encoder weights: read a file, tell its shape, take it whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT
from pathplugins.weights import read_weights
from pathplugins.weights.compare import few, mismatch

logger = logging.getLogger(__name__)

RELEASED_WIDTHS = (768, 1024, 1536)
"""Widths of enc12l768d, enc24l1024d and enc12l1536d; all have 16 heads, which no tensor shape tells."""
RELEASED_HEADS = 16
PROBES = ("patch_embed.proj.weight", "encoder.layers.0.ffn.fc1.weight")
"""Tensors whose shapes give the widths of an encoder."""
PRETRAINING_ONLY = ("decoder", "mask_token")
"""First parts of the names of tensors that pre-training leaves in a file and the encoder has no use for."""


def config_from_state_dict(state: Mapping[str, Tensor], *, num_heads: int | None = None) -> LongNetConfig:
    """Read the configuration off the shapes of a bare state dict; ``num_heads`` is 16 for the released widths."""
    shapes = [tuple(state[name].shape) if name in state else () for name in PROBES]
    if [len(shape) for shape in shapes] != [2, 2]:
        raise CheckpointError(f"no slide encoder: wanted matrices {PROBES}, got {shapes}; tensors: {few(state)}")
    (embed_dim, in_chans), (ffn_dim, _) = shapes
    if num_heads is None and embed_dim not in RELEASED_WIDTHS:
        raise CheckpointError(
            f"the number of heads cannot be told from weights {embed_dim} wide (16 is known for {RELEASED_WIDTHS} "
            "only): pass num_heads"
        )
    if num_heads not in (None, RELEASED_HEADS) and embed_dim in RELEASED_WIDTHS:
        logger.warning(
            "num_heads %s for a slide encoder %s wide: the released ones have %s, and another number loads without a "
            "word and gives other features; remove it unless you trained these weights so",
            num_heads,
            embed_dim,
            RELEASED_HEADS,
        )
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.layers.")}
    return LongNetConfig(
        in_chans=in_chans,
        embed_dim=embed_dim,
        depth=len(layers),
        num_heads=num_heads or RELEASED_HEADS,
        mlp_ratio=ffn_dim / embed_dim,
    )


def load_slide_encoder(path: str | Path, *, num_heads: int | None = None) -> tuple[LongNetConfig, dict[str, Tensor]]:
    """Read slide encoder weights from a file and check that they are whole.

    Tensors may lie under ``model`` or ``state_dict`` and behind one common prefix (``module.``, ``slide_encoder.``);
    tensors beside that prefix belong to other modules and are left out, like the decoder of pre-training.

    Returns:
        The configuration and a state dict that loads with ``strict=True``.

    Raises:
        CheckpointError: The file is not readable, or not exactly one slide encoder.
    """
    path = Path(path)
    state = _without_prefix(read_weights(path), path)
    try:
        config = config_from_state_dict(state, num_heads=num_heads)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    with torch.device("meta"):
        wanted = LongNetViT(config).state_dict()
    if report := mismatch(wanted, state):
        raise CheckpointError(
            f"{path}: {len(state)} tensors read, {len(wanted)} wanted: {report}; weights are taken "
            "whole or not at all: check that the download is complete and the right file"
        )
    return config, state


def read_longnet_vit(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all options and weights of a slide encoder; ``options`` add what no shape tells."""
    config, state = load_slide_encoder(path, num_heads=options.get("num_heads"))
    told = {name: getattr(config, name) for name in ("in_chans", "embed_dim", "depth", "mlp_ratio")}
    wrong = {name: value for name, value in told.items() if options.get(name, value) != value}
    if wrong:
        asked = {name: options[name] for name in wrong}
        raise CheckpointError(f"{path} has {wrong} but vision_config says {asked}; remove these entries")
    return vars(LongNetConfig(**{**vars(config), **options})), state


def _without_prefix(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the encoder's own tensors under their bare names."""
    prefixes = sorted(name.removesuffix(PROBES[1]) for name in state if f".{name}".endswith(f".{PROBES[1]}"))
    if len(prefixes) != 1:
        raise CheckpointError(
            f"{path}: wanted one slide encoder, found {len(prefixes)} (prefixes {prefixes}) among {len(state)} "
            f"tensors: {few(state)}; re-save the state dict of the encoder alone"
        )
    bare = {name[len(prefixes[0]) :]: tensor for name, tensor in state.items() if name.startswith(prefixes[0])}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(PRETRAINING_ONLY)}
