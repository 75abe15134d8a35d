"""Weights of a patch encoder for a `timm` tower, by the reader and the rows of ``pathdata features``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.activation import with_activation
from pathplugins.encoders.build import build_model
from pathplugins.encoders.hub_folder import WEIGHT_FILES, folder_card
from pathplugins.encoders.image_size import at_side, preprocessing_of, resized_state
from pathplugins.encoders.load_weights import load_weights
from pathplugins.encoders.registry import find_card
from pathplugins.models.towers.timm_config import TimmVisionConfig, resolved
from pathplugins.models.towers.timm_norms import folded
from pathplugins.models.towers.timm_vision import TimmVisionTower
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.weights.compare import few, mismatch

logger = logging.getLogger(__name__)

GIVEN = ("encoder", "image_size", "select_layer")
"""Options a user may give beside weights; the card or the folder tells the others."""
OF_CONCH = ("pooler_width", "pooler_heads")
POOLED = ("conch", "conch-v1.5")
"""Families whose transformer is a part of the model, beside a pooler."""
OF_MAPS = ("features_only", "out_indices")


def read_timm(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all options and the weights of a patch encoder up to the selected layer.

    Args:
        path: an encoder directory (of ``pathplugins import-weights`` or ``pathplugins classify train``, or downloaded
            from the hub in timm's or Transformers' format), or a weights file.
        options: ``encoder``, the card of a weights file (it wins over the ``config.json`` of a directory);
            ``image_size``, to which position embeddings are resized; ``select_layer``.

    Returns:
        Options of `TimmVisionConfig`, and a state dict without the layers beyond the selected one.

    Raises:
        CheckpointError: The weights are missing, partial, or of another encoder.
    """
    card, file = _source(Path(path), options)
    given = {name: value for name, value in options.items() if value is not None}
    if wrong := sorted(given.keys() - set(GIVEN) - {"model_type"}):
        raise CheckpointError(f"{path}: {', '.join(wrong)} in vision_config: the encoder tells that; remove it")
    side = given.get("image_size", preprocessing_of(card).crop_px)
    sized = at_side(card, side)
    source = build_model(sized if card.positions else card)
    logger.info("%s: %s", file, load_weights(source, file, unused=card.unused, positions=card.positions))
    with torch.device("meta"):
        target = build_model(sized)
    state, said = resized_state(source, target)
    if said:
        logger.info("%s: %s", file, said)
    config = resolved(tower_config(sized, given))
    with torch.device("meta"):
        wanted = TimmVisionTower(config).state_dict()
    if card.family in POOLED:  # the pooler behind its transformer gives no patch tokens
        source, state = source.trunk, {name.removeprefix("trunk."): value for name, value in state.items()}
    found = {f"encoder.{name}": value for name, value in folded(source, state).items()}
    if report := mismatch(wanted, {name: value for name, value in found.items() if name in wanted}):
        raise CheckpointError(f"{path}: {card.name} does not fit its own vision tower: {report}; please report this")
    return vars(config), {name: found[name] for name in wanted}


def _source(path: Path, options: dict[str, Any]) -> tuple[EncoderCard, Path]:
    """Return the card of the encoder and its file of weights."""
    name = options.get("encoder")
    if path.is_dir():
        card = _named(name) if name else folder_card(path)
        file = card.weights if not name else next(filter(Path.is_file, (path / file for file in WEIGHT_FILES)), None)
        if file is None:
            files = few(sorted(entry.name for entry in path.iterdir()))
            raise CheckpointError(f"{path} holds no {' or '.join(WEIGHT_FILES)}, only {files}; name the file itself")
        return card, file
    if not name:
        raise CheckpointError(
            f"{path} is a file of weights, which do not say of which encoder: set vision_config: {{encoder: NAME}} "
            "(pathdata encoders lists the names), or make a directory of it: pathplugins import-weights NAME "
            f"{path} --out DIR"
        )
    return _named(name), path


def _named(name: str) -> EncoderCard:
    """Return the card of an encoder that a tower can be made of."""
    card = find_card(name)
    try:
        return with_activation(card, None)
    except PathPluginsError as error:
        raise CheckpointError(
            f"vision_config: encoder {name} is a CLIP whose activation is open; read it with vision_model_name: clip, "
            "which takes vision_config: {hidden_act: quick_gelu}"
        ) from error


def tower_config(card: EncoderCard, given: dict[str, Any]) -> TimmVisionConfig:
    """Return the options that a card tells, of its transformer alone where a pooler stands behind it."""
    if card.family == "torchscript":
        raise CheckpointError(f"{card.source}: a TorchScript model gives no patch tokens; pass a model of timm")
    preprocess = preprocessing_of(card)
    arguments = {name: value for name, value in card.timm_kwargs.items() if name not in (*OF_CONCH, *OF_MAPS)}
    stage = card.timm_kwargs["out_indices"][-1] if "out_indices" in card.timm_kwargs else None
    return TimmVisionConfig(
        architecture=card.architecture,
        model_args=arguments,
        encoder=given.get("encoder") or card.name,
        image_size=preprocess.crop_px,
        select_layer=given.get("select_layer", stage),
        image_mean=list(preprocess.mean),
        image_std=list(preprocess.std),
        interpolation=preprocess.interpolation,
    )
