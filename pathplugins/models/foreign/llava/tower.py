"""Find the vision tower of a LLaVA checkpoint: in its own weights, or the CLIP that its configuration names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.foreign.llava.settings import LlavaSettings
from pathplugins.models.towers.clip_checkpoint import PATCHES, POSITIONS, read_clip
from pathplugins.published.open_clip import ACTIVATIONS, HEAD_WIDTHS, OPENAI, QUICK_GELU, USUAL_HEAD_WIDTH
from pathplugins.weights import Stored
from pathplugins.weights.compare import few


def place_tower(
    source: Path,
    settings: LlavaSettings,
    inside: dict[str, Stored],
    work: Path,
    *,
    vision_tower: str | None = None,
    activation: str | None = None,
) -> tuple[str, dict[str, Any], str]:
    """Return where the tower's weights are, the options to read them with, and in words where they are from.

    Args:
        source: the checkpoint.
        settings: of it.
        inside: weights of the tower in the checkpoint, by bare names; may be empty.
        work: where to write a directory of what is inside.
        vision_tower: CLIP directory or file that the user names.
        activation: ``quick_gelu`` or ``gelu``, where nothing tells it.
    """
    options: dict[str, Any] = {"select_layer": settings.select_layer}
    if settings.vision is not None:
        if vision_tower is not None:
            raise CheckpointError(f"{source} holds its vision tower; leave --vision-tower out")
        return str(_write(inside, settings.vision, work)), options, "the checkpoint"
    asked = {**options, **({"hidden_act": activation} if activation else {})}
    named = vision_tower or named_tower(source, settings.tower_name)
    if named is None:
        if not inside:
            raise CheckpointError(
                f"{source} holds no weights of its vision tower, and {settings.tower_name!r}, which it names, is not "
                "there: fetch it and give --vision-tower, a CLIP directory of Transformers or a file of OpenCLIP"
            )
        return str(_write(inside, _by_shape(source, settings, inside, activation), work)), options, "the checkpoint"
    if not inside:
        return named, asked, named
    told, _ = read_clip(named, asked)
    if settings.tower_trained:
        return str(_write(inside, told, work)), asked, f"the checkpoint, trained along (settings of {named})"
    _same(source, named, asked, inside)
    return named, asked, f"{named}, the same as in the checkpoint"


def named_tower(source: Path, name: str | None) -> str | None:
    """Return the directory that a configuration names, as it stands or beside the weights; None if there is none."""
    if not name:
        return None
    places = (Path(name), source.absolute() / Path(name).name)
    return next((str(path) for path in places if path.is_absolute() and path.exists()), None)


def _same(source: Path, named: str, options: dict[str, Any], inside: dict[str, Stored]) -> None:
    """Refuse a tower that differs from the one in the checkpoint, which was frozen."""
    _, state = read_clip(named, options)
    differing = []
    for name, value in state.items():
        own = inside[name].read() if name in inside else torch.empty(0)
        if own.shape != value.shape or not torch.equal(own, value.to(own.dtype)):
            differing.append(name)
    if differing:
        raise CheckpointError(
            f"{named} is not the vision tower of {source}: {len(differing)} of {len(state)} tensors differ "
            f"({few(differing)}); give the one it was trained with by --vision-tower"
        )


def _by_shape(
    source: Path, settings: LlavaSettings, inside: dict[str, Stored], activation: str | None
) -> dict[str, Any]:
    """Return the tower's configuration by the shapes of its weights, as the original's ``config.json`` has none."""
    inner = "encoder.layers.0.mlp.fc1.bias"
    if absent := [name for name in (PATCHES, POSITIONS, inner) if name not in inside]:
        raise CheckpointError(
            f"{source} holds {len(inside)} tensors of its vision tower, {few(absent)} not among them; is the download "
            "complete? Else give --vision-tower"
        )
    act = activation or (QUICK_GELU if str(settings.tower_name).startswith(OPENAI) else None)
    if act not in ACTIVATIONS:
        raise CheckpointError(
            f"{source}: its vision tower {settings.tower_name!r} is not there, and the weights in the checkpoint do "
            f"not tell the activation: give --vision-tower, or --activation {' or '.join(ACTIVATIONS)}"
        )
    width, channels, patch, _ = inside[PATCHES].shape
    positions = inside[POSITIONS].shape[0]
    head_width = HEAD_WIDTHS.get(width, USUAL_HEAD_WIDTH)
    if width % head_width:
        raise CheckpointError(f"{source}: a vision tower {width} wide is of no known CLIP; give --vision-tower")
    return {
        "hidden_size": width,
        "intermediate_size": inside[inner].shape[0],
        "num_hidden_layers": 1 + max(int(name.split(".")[2]) for name in inside if name.startswith("encoder.layers.")),
        "num_attention_heads": width // head_width,
        "image_size": patch * math.isqrt(positions - 1),
        "patch_size": patch,
        "num_channels": channels,
        "hidden_act": act,
    }


def _write(inside: dict[str, Stored], config: dict[str, Any], work: Path) -> Path:
    """Write a CLIP directory of the weights in the checkpoint."""
    folder = work / "tower"
    folder.mkdir()
    state = {f"vision_model.{name}": value.read().contiguous() for name, value in inside.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {**config, "model_type": "clip_vision_model"})
    return folder
