"""Read an OpenCLIP checkpoint and infer its architecture from tensor shapes and the configuration beside it.

Shapes tell nearly all. Two things they do not: the activation, which is asked for where nothing tells it, and the
number of heads, which follows from the width by OpenCLIP's own configurations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.published.open_clip import (
    ACTIVATIONS,
    ARCHITECTURES,
    GELU,
    HEAD_WIDTHS,
    QUICK_GELU,
    QUICK_SUFFIX,
    USUAL_HEAD_WIDTH,
    Architecture,
    architecture_name,
)
from pathplugins.published.pathgen_clip import activation_question, checkpoint_of_file
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.names.open_clip import PATCHES, is_open_clip, layers_of, weight_names

CONFIG = "open_clip_config.json"
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Names of the weights in a directory of OpenCLIP."""
_VISION_AXES = {PATCHES: 4, "visual.positional_embedding": 2, "visual.transformer.resblocks.0.mlp.c_fc.weight": 2}
_TEXT_AXES = {"token_embedding.weight": 2, "positional_embedding": 2, "transformer.resblocks.0.mlp.c_fc.weight": 2}
"""Tensors whose shapes tell the model's -> number of their axes."""


@dataclass(frozen=True, kw_only=True)
class OpenClip:
    """Weights and settings of one checkpoint."""

    path: Path
    state: dict[str, Tensor]
    """By OpenCLIP's names, without wrappers."""
    vision: dict[str, Any]
    """Settings of Transformers' vision configuration; the activation too."""
    text: dict[str, Any] | None
    """Settings of its text configuration; None where the file has no text transformer."""
    projection_dim: int | None
    """Width of the shared space; None where the file has no projection."""
    architecture: str | None
    """OpenCLIP's name of the shapes, where they are those of a known one."""
    told_by: str
    """What the activation was taken from."""


def open_clip_file(path: Path) -> Path | None:
    """Return the file of OpenCLIP's weights at ``path``, a file or directory; None where they are of another kind."""
    for file in [path / name for name in FILES] if path.is_dir() else [path]:
        if file.is_file() and is_open_clip(file_weights(file)):
            return file
    return None


def read_open_clip(
    file: Path, *, activation: str | None = None, heads: int | None = None, vision_only: bool = False
) -> OpenClip:
    """Read a checkpoint.

    Args:
        file: weights; ``open_clip_config.json`` is read where it lies beside them.
        activation: ``quick_gelu`` or ``gelu``; may be left out where the configuration or a row of ``pathgen_clip``
            tells.
        heads: attention heads of the vision transformer, where its width does not tell.
        vision_only: leave the text transformer where it is.

    Raises:
        CheckpointError: The file is none of OpenCLIP's, another model than its name says, or leaves open how it is run.
    """
    weights = file_weights(file)
    names = weight_names(weights)
    if not is_open_clip(names):
        raise CheckpointError(_unknown(file, names))
    wanted = [bare for bare in names if bare.startswith("visual.") or not vision_only]
    state = {bare: weights[names[bare]] for bare in wanted}
    vision = _vision_shape(file, state)
    projection = state["visual.proj"].shape[1] if "visual.proj" in state else None
    shape = Architecture(
        width=vision["hidden_size"],
        layers=vision["num_hidden_layers"],
        patch_size=vision["patch_size"],
        image_size=vision["image_size"],
        projection_dim=projection or 0,
    )
    architecture = architecture_name(shape)
    _check_name(file, shape, architecture)
    config = _config(file)
    act, told_by = _activation(file, architecture, config, activation)
    vision |= {"hidden_act": act, "num_attention_heads": _heads(file, vision["hidden_size"], config, heads)}
    text = None
    if "token_embedding.weight" in state:
        text = {**_text_shape(file, state, config), "hidden_act": act}
    return OpenClip(
        path=file,
        state=state,
        vision=vision,
        text=text,
        projection_dim=projection,
        architecture=architecture,
        told_by=told_by,
    )


def check_architecture(checkpoint: OpenClip, wanted: str) -> None:
    """Refuse a checkpoint of other shapes than the architecture a user (or a README) names."""
    name = wanted.removesuffix(QUICK_SUFFIX).replace("/", "-").replace("@", "-").removesuffix("px")
    if name not in ARCHITECTURES:
        raise CheckpointError(f"--arch {wanted} is not known; known are {', '.join(ARCHITECTURES)}: leave it out")
    if checkpoint.architecture != name:
        raise CheckpointError(
            f"{checkpoint.path} is no {wanted}: its weights are {describe(checkpoint)}; {name} has "
            f"{ARCHITECTURES[name]}. Leave --arch out, or check that it is the file you mean"
        )


def describe(checkpoint: OpenClip) -> str:
    """Return the vision transformer's architecture in words."""
    vision = checkpoint.vision
    shape = Architecture(
        width=vision["hidden_size"],
        layers=vision["num_hidden_layers"],
        patch_size=vision["patch_size"],
        image_size=vision["image_size"],
        projection_dim=checkpoint.projection_dim or 0,
    )
    return f"{checkpoint.architecture or 'no listed architecture'} ({shape})"


def _vision_shape(file: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of the vision transformer that shapes tell, by Transformers' names."""
    _require(file, state, _VISION_AXES)
    width, channels, patch, _ = state[PATCHES].shape
    positions = state["visual.positional_embedding"].shape[0]
    side = math.isqrt(max(positions - 1, 0))
    if side * side != positions - 1 or side < 1:
        raise CheckpointError(
            f"{file}: visual.positional_embedding has {positions} positions, wanted one more than a square number (the "
            "class token and a square of patches); models for other images are not supported"
        )
    return {
        "hidden_size": width,
        "intermediate_size": state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": layers_of(state, vision=True),
        "image_size": side * patch,
        "patch_size": patch,
        "num_channels": channels,
        "layer_norm_eps": 1e-5,
    }


def _text_shape(file: Path, state: Mapping[str, Tensor], config: Mapping[str, Any] | None) -> dict[str, Any]:
    _require(file, state, _TEXT_AXES)
    vocabulary, width = state["token_embedding.weight"].shape
    heads = (config or {}).get("text_cfg", {}).get("heads") or width // USUAL_HEAD_WIDTH
    if heads < 1 or width % heads:
        raise CheckpointError(
            f"{file}: its text transformer is {width} wide, which {heads} heads do not divide; put {CONFIG} beside it, "
            "whose text_cfg says how many there are"
        )
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": state["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": layers_of(state, vision=False),
        "num_attention_heads": heads,
        "max_position_embeddings": state["positional_embedding"].shape[0],
        "layer_norm_eps": 1e-5,
        # OpenCLIP looks where the highest id stands, which is the end of the text; Transformers looks for this one.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def _heads(file: Path, width: int, config: Mapping[str, Any] | None, asked: int | None) -> int:
    told = (config or {}).get("vision_cfg", {}).get("head_width", USUAL_HEAD_WIDTH if config else None)
    if told and asked and width != told * asked:
        raise CheckpointError(
            f"{file}: {CONFIG} says heads {told} wide, {width // told} of them, and num_attention_heads says {asked}; "
            "remove the entry"
        )
    head_width = told or HEAD_WIDTHS.get(width, USUAL_HEAD_WIDTH)
    if not asked and width % head_width:
        raise CheckpointError(
            f"{file}: a width of {width} is no multiple of {head_width}, the usual width of a head, and nothing else "
            "tells how many there are; give num_attention_heads (vision_config in a training configuration)"
        )
    return asked or width // head_width


def _activation(
    file: Path, architecture: str | None, config: Mapping[str, Any] | None, asked: str | None
) -> tuple[str, str]:
    """Return the activation, and what tells it."""
    if asked is not None and asked not in ACTIVATIONS:
        raise CheckpointError(f"activation {asked!r} of {file} is not one of {', '.join(ACTIVATIONS)}")
    if config is not None:
        told = QUICK_GELU if config.get("quick_gelu", False) else GELU
        if asked not in (None, told):
            raise CheckpointError(f"{file}: {CONFIG} beside it says {told}, you say {asked}; remove one of the two")
        return told, CONFIG
    if asked is not None:
        return asked, "you"
    published = checkpoint_of_file(file.name)
    if published and published.activation:
        return published.activation, f"{published.source}: {published.activation_told()}"
    raise CheckpointError(activation_question(f"{file} ({architecture or 'no listed architecture'})", published))


def _check_name(file: Path, shape: Architecture, architecture: str | None) -> None:
    published = checkpoint_of_file(file.name)
    if published and published.architecture != architecture:
        raise CheckpointError(
            f"{file} has the name of a published {published.architecture} ({published.shape}), but its weights have "
            f"{shape}; download it again, or rename the file if it is a different model"
        )


def _config(file: Path) -> dict[str, Any] | None:
    """Return ``model_cfg`` of the configuration beside the weights."""
    path = file.parent / CONFIG
    return read_json(path).get("model_cfg", {}) if path.is_file() else None


def _require(file: Path, state: Mapping[str, Tensor], axes: Mapping[str, int]) -> None:
    """Refuse a file without the tensors that tell the model's shape."""
    bad = [name for name, count in axes.items() if name not in state or state[name].ndim != count]
    if bad:
        raise CheckpointError(
            f"{file}: of its {len(state)} tensors, {few(bad)} {'is' if len(bad) == 1 else 'are'} missing or of a wrong "
            "number of axes; is the download complete?"
        )


def _unknown(file: Path, names: Iterable[str]) -> str:
    names = list(names)
    kind = next(
        (kind for start, kind in (("visual.trunk.", "timm model"), ("visual.layer1.", "ResNet")) if _any(names, start)),
        None,
    )
    found = f"a {kind}, and only OpenCLIP's own vision transformers fit" if kind else few(names) or "none"
    return f"{file}: wanted a vision transformer of OpenCLIP ({PATCHES}) among {len(names)} tensors, found {found}"


def _any(names: Iterable[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)
