"""CLIP and PLIP weights: read a file or a directory, take the vision transformer whole or not at all."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig as TransformersConfig

from pathplugins.core.cache_place import cache_dir
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.models.towers.clip_vit import CHOSEN, ClipVisionConfig, ClipVisionTower
from pathplugins.models.towers.open_clip_checkpoint import FILES as OPEN_CLIP_FILES
from pathplugins.models.towers.open_clip_checkpoint import open_clip_file, read_open_clip
from pathplugins.published.open_clip import ARCHITECTURES, HEAD_WIDTHS, USUAL_HEAD_WIDTH
from pathplugins.weights import read_weights
from pathplugins.weights.archive import unpacked
from pathplugins.weights.compare import few, mismatch
from pathplugins.weights.model_folder import holds_safetensors, weight_files
from pathplugins.weights.names.open_clip import VISION, to_transformers

logger = logging.getLogger(__name__)

PATCHES = "embeddings.patch_embedding.weight"
"""Tensor by which the vision transformer is found in a file; [C, 3, patch, patch]."""
POSITIONS = "embeddings.position_embedding.weight"
NOT_NEEDED = ("post_layernorm.", "post_layrnorm.", "embeddings.position_ids", "visual_projection.")
"""Beginnings of names that come after the last layer (the second as PA-LLaVA spells it), or are no weights."""
PUBLISHED_WIDTHS = {architecture.width for architecture in ARCHITECTURES.values()}
PLIP_TOKENS = 196
PLIP = {name: value for name, value in vars(ClipVisionConfig()).items() if name not in CHOSEN}
"""Settings of PA-LLaVA's PLIP, plip_80w_196token.bin, which is published without a ``config.json``."""
UNSEEN = ("num_attention_heads", "hidden_act", "layer_norm_eps")
"""Settings that no tensor's shape tells."""


def read_clip(
    path: str, options: dict[str, Any], *, known: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all options and the weights of the vision transformer of a CLIP model.

    Args:
        path: A directory with ``config.json`` and weights, or a weights file with ``config.json`` beside it. The model
            may be a whole CLIP or its vision part. Or a file or directory of OpenCLIP, which needs no ``config.json``.
        options: ``select_layer``, and of OpenCLIP's weights ``hidden_act`` where nothing beside them tells it; anything
            else must agree with ``config.json`` or with what the weights tell.
        known: settings of a published model, for files without a ``config.json``.

    Returns:
        Options of `ClipVisionConfig`, and a state dict without the layers beyond the selected one.

    Raises:
        CheckpointError: The weights are missing, partial, or of another shape than ``config.json`` says.
    """
    files = _files(Path(path))
    if len(files) == 1 and (file := open_clip_file(files[0])):
        told, state = _from_open_clip(file, options)
    else:
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        told, state = _told(folder / "config.json", known), _vision_part(Path(path), files)
    width, heads = told["hidden_size"], told["num_attention_heads"]
    usual = width // HEAD_WIDTHS.get(width, USUAL_HEAD_WIDTH)
    if width in PUBLISHED_WIDTHS and heads != usual:
        logger.warning(
            "%s: its settings say %s attention heads for a width of %s, published CLIPs have %s; another number loads "
            "without a word and gives other features: check config.json",
            path,
            heads,
            width,
            usual,
        )
    wrong = {name: value for name, value in told.items() if options.get(name, value) != value}
    if wrong:
        asked = {name: options[name] for name in wrong}
        raise CheckpointError(f"{path} has {wrong} but vision_config says {asked}; remove these entries")
    try:
        config = ClipVisionConfig(**{**told, **options})
    except PathPluginsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    with torch.device("meta"):
        wanted = ClipVisionTower(ClipVisionConfig(**{**told, "select_layer": -1})).state_dict()
    if report := mismatch(wanted, state):
        raise CheckpointError(
            f"{path}: {_shape_report(config, state)}{len(state)} tensors read, {len(wanted)} wanted: {report}; weights "
            "are taken whole or not at all: check that the download is complete and config.json belongs to it"
        )
    beyond = tuple(f"encoder.layers.{n}." for n in range(config.layers_built, config.num_hidden_layers))
    kept = {name: value for name, value in state.items() if not name.startswith(beyond)}
    if config.looks_ahead:
        after = f"encoder.layers.{config.layers_built}."
        named = {"layer_norm1": "layer_norm1", "self_attn.q_proj": "q_proj", "self_attn.k_proj": "k_proj"}
        kept |= {
            f"ahead.{ours}.{kind}": state[f"{after}{theirs}.{kind}"]
            for theirs, ours in named.items()
            for kind in ("weight", "bias")
        }
    return vars(config), kept


def read_plip(path: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read PA-LLaVA's PLIP, also from ``plip.tar.gz`` as it is downloaded; refuse the other model of that name."""
    path = str(unpacked(Path(path), cache_dir()))
    config, state = read_clip(path, options, known=PLIP)
    tokens = ClipVisionConfig(**config).tokens_per_tile
    if tokens != PLIP_TOKENS:
        raise CheckpointError(
            f"{path} gives {tokens} tokens per tile (patches of {config['patch_size']} px); PA-LLaVA's PLIP is a "
            f"ViT-B/16 with {PLIP_TOKENS} (plip_80w_196token.bin), which vinid/plip, a ViT-B/32, is not: give its "
            "directory, or take vision_model_name: clip for another model"
        )
    # No shape tells these, and another number loads as well.
    other = {name: config[name] for name in UNSEEN if config[name] != PLIP[name]}
    if config["hidden_size"] == PLIP["hidden_size"] and other:
        raise CheckpointError(
            f"{path}: its settings say {other}, PA-LLaVA's PLIP has { ({name: PLIP[name] for name in other}) }, and no "
            "shape of a weight tells them; correct config.json (or vision_config), or take vision_model_name: clip"
        )
    return config, state


def _told(path: Path, known: dict[str, Any] | None) -> dict[str, Any]:
    """Return what ``config.json`` says of the vision transformer; it leaves out Transformers' defaults."""
    if not path.is_file() and known is not None:
        return known
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; the number of heads is told nowhere else: put the model's there")
    settings = read_json(path)
    settings = settings.get("vision_config") or settings.get("vision_config_dict") or settings
    names = [field.name for field in fields(ClipVisionConfig) if field.name not in CHOSEN]
    default = TransformersConfig()
    return {name: settings.get(name, getattr(default, name)) for name in names}


def _from_open_clip(file: Path, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return settings and weights of the vision transformer of OpenCLIP, by Transformers' names."""
    asked = {"activation": options.get("hidden_act"), "heads": options.get("num_attention_heads")}
    checkpoint = read_open_clip(file, **asked, vision_only=True)
    logger.info("%s: %s, activation by %s", file, checkpoint.vision, checkpoint.told_by)
    renamed, strange = to_transformers(checkpoint.state)
    bare = {name.removeprefix(VISION): value for name, value in renamed.items()}
    state = {name: value for name, value in bare.items() if not name.startswith(NOT_NEEDED)}
    return checkpoint.vision, state | {name: checkpoint.state[name] for name in strange}  # the latter will be refused


def _vision_part(path: Path, files: list[Path]) -> dict[str, Tensor]:
    """Return the weights of the vision transformer under their bare names."""
    state: dict[str, Tensor] = {}
    for file in files:
        state.update(read_weights(file))
    prefixes = sorted(name.removesuffix(PATCHES) for name in state if f".{name}".endswith(f".{PATCHES}"))
    if len(prefixes) != 1:
        raise CheckpointError(
            f"{path}: wanted one CLIP vision transformer by Transformers' names (a tensor {PATCHES}), found "
            f"{len(prefixes)} among {len(state)} tensors: {few(state) or 'none'}; name the weights of a CLIP of "
            "Transformers or of OpenCLIP (visual.conv1.weight)"
        )
    bare = {name[len(prefixes[0]) :]: tensor for name, tensor in state.items() if name.startswith(prefixes[0])}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(NOT_NEEDED)}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if holds_safetensors(path):
        return weight_files(path)
    for name in OPEN_CLIP_FILES:
        if (path / name).is_file() and not (path / "pytorch_model.bin").is_file():
            return [path / name]
    found = sorted(path.glob("*.bin")) or sorted(path.glob("*.pt"))
    if path / "pytorch_model.bin" in found:
        return [path / "pytorch_model.bin"]
    if len(found) != 1:
        raise CheckpointError(
            f"{path} holds neither model.safetensors nor pytorch_model.bin nor one single .bin or .pt file (found "
            f"{few(p.name for p in found) or 'none'}); name the file itself"
        )
    return found


def _shape_report(config: ClipVisionConfig, state: dict[str, Tensor]) -> str:
    """List the widths that differ, by the names of ``config.json``, which a reader can act on."""
    width, _, patch, _ = state[PATCHES].shape
    tokens = state[POSITIONS].shape[0] - 1 if POSITIONS in state else config.tokens_per_tile
    said = (config.hidden_size, config.patch_size, config.tokens_per_tile)
    names = ("hidden_size", "patch_size", "patch tokens")
    differing = [
        f"{name} is {got} in the weights and {want} in config.json"
        for name, got, want in zip(names, (width, patch, tokens), said, strict=True)
        if got != want
    ]
    return ", ".join(differing) + ("; " if differing else "")
