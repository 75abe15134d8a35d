"""Convert OpenCLIP's weights to a directory that Transformers loads as CLIP, checked by numbers before it appears."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPModel, CLIPVisionModelWithProjection

import pathplugins
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, refuse_nonempty, write_json
from pathplugins.models.compose.cache import new_directory
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file
from pathplugins.models.foreign.open_clip.clip_directory import image_processor
from pathplugins.models.foreign.open_clip.reference import image_features, text_features
from pathplugins.models.towers.open_clip_checkpoint import (
    CONFIG,
    OpenClip,
    check_architecture,
    describe,
    open_clip_file,
    read_open_clip,
)
from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD
from pathplugins.weights.compare import few
from pathplugins.weights.names.open_clip import TEXT, float32, to_transformers

TOLERANCE = 1e-4
"""Largest difference to `open_clip_reference`, in float32, as a share of the largest value."""
_BOTH = ("visual.proj", "text_projection", "logit_scale")
"""What a whole CLIP has beside its two transformers."""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """Report of a conversion: what was written, and how far it computes the same."""

    architecture: str
    activation: str
    told_by: str
    """What the activation was taken from."""
    both: bool
    """Image and text; else the image alone."""
    differences: dict[str, float]
    """Largest difference to the reference, as a share of its largest value, of each output."""


def import_open_clip(source: Path, out: Path, *, activation: str | None = None, arch: str | None = None) -> Converted:
    """Write ``out``, which must not exist or be empty; nothing is there unless the numbers agree.

    Args:
        source: a file of OpenCLIP, or its directory with ``open_clip_config.json``.
        out: new directory: ``CLIPModel``, or ``CLIPVisionModelWithProjection`` where there is no text transformer.
        activation: ``quick_gelu`` or ``gelu``, where nothing tells it.
        arch: OpenCLIP's name of the architecture the file should have.

    Raises:
        CheckpointError: The weights are no whole CLIP, of another architecture, or give other numbers once converted.
    """
    refuse_nonempty(out)
    checkpoint = read_open_clip(open_clip_file(source) or source, activation=activation)
    if arch is not None:
        check_architecture(checkpoint, arch)
    state, strange = to_transformers(checkpoint.state)
    if strange:
        raise CheckpointError(
            f"{checkpoint.path}: {len(strange)} of its {len(checkpoint.state)} tensors have no place in CLIP: "
            f"{few(strange)}; it is a different kind of model"
        )
    both = checkpoint.text is not None and all(name in checkpoint.state for name in _BOTH)
    if not both:
        apart = (TEXT, "text_projection.", "logit_scale")
        state = {name: value for name, value in state.items() if not name.startswith(apart)}
    with new_directory(out) as beside:
        save_file(state, beside / "model.safetensors", metadata={"format": "pt"})
        write_json(beside / "config.json", _config(checkpoint, both=both))
        write_json(beside / "preprocessor_config.json", _preprocessing(checkpoint))
        for path in filter(is_tokenizer_file, checkpoint.path.parent.iterdir()):
            shutil.copyfile(path, beside / path.name)
        done = Converted(
            architecture=describe(checkpoint),
            activation=checkpoint.vision["hidden_act"],
            told_by=checkpoint.told_by,
            both=both,
            differences=_differences(checkpoint, beside, both=both),
        )
        write_json(beside / "conversion.json", _record(checkpoint, done))
    return done


def _config(checkpoint: OpenClip, *, both: bool) -> dict[str, Any]:
    """Return ``config.json`` as every supported Transformers version reads it."""
    width = checkpoint.projection_dim or checkpoint.vision["hidden_size"]
    dtype = str(checkpoint.state["visual.conv1.weight"].dtype).removeprefix("torch.")
    vision = {"model_type": "clip_vision_model", "projection_dim": width, **checkpoint.vision}
    if not both:
        name = "CLIPVisionModelWithProjection" if checkpoint.projection_dim else "CLIPVisionModel"
        return {"architectures": [name], "torch_dtype": dtype, **vision}
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": width,
        "torch_dtype": dtype,
        "vision_config": vision,
        "text_config": {"model_type": "clip_text_model", "projection_dim": width, **(checkpoint.text or {})},
    }


def _preprocessing(checkpoint: OpenClip) -> dict[str, Any]:
    """Return OpenCLIP's preprocessing, by Transformers' names."""
    path, side = checkpoint.path.parent / CONFIG, checkpoint.vision["image_size"]
    told = read_json(path).get("preprocess_cfg", {}) if path.is_file() else {}
    return image_processor(side, mean=told.get("mean", CLIP_MEAN), std=told.get("std", CLIP_STD))


def _record(checkpoint: OpenClip, done: Converted) -> dict[str, Any]:
    return {
        "source": checkpoint.path.name,
        "architecture": checkpoint.architecture,
        "activation": done.activation,
        "activation_told_by": done.told_by,
        "largest_differences": done.differences,
        "pathplugins": pathplugins.__version__,
    }


@torch.no_grad()
def _differences(checkpoint: OpenClip, folder: Path, *, both: bool) -> dict[str, float]:
    """Compare the written model with the reference on a fixed random image and text."""
    model = _loaded(checkpoint, folder, both=both)
    state, vision = float32(checkpoint.state), checkpoint.vision
    draw = torch.Generator().manual_seed(20_240)
    pixels = torch.randn(2, vision["num_channels"], *[vision["image_size"]] * 2, generator=draw)  # [B, 3, S, S]
    wanted, tokens = image_features(state, pixels, **_run_by(vision))
    got = model.vision_model(pixel_values=pixels, output_hidden_states=True)
    features = model.visual_projection(got.pooler_output) if checkpoint.projection_dim else got.pooler_output
    found = {"image features": _difference(features, wanted), "layer -2": _difference(got.hidden_states[-2], tokens)}
    if both:
        ids = _texts(checkpoint.text, draw)
        wanted = text_features(state, ids, **_run_by(checkpoint.text))
        got = model.text_projection(model.text_model(input_ids=ids).pooler_output)
        found["text features"] = _difference(got, wanted)
    if wrong := {name: value for name, value in found.items() if not value <= TOLERANCE}:
        raise CheckpointError(
            f"{checkpoint.path}: the converted model computes other values than the weights it is made of: largest "
            f"differences {wrong}, allowed is {TOLERANCE}; nothing was written. Are there NaNs in the file?"
        )
    return found


def _loaded(checkpoint: OpenClip, folder: Path, *, both: bool) -> Any:
    """Load the written model in float32; each weight must have found its place."""
    kind = CLIPModel if both else CLIPVisionModelWithProjection
    options = {"torch_dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    model, report = kind.from_pretrained(folder, **options)
    unused = () if checkpoint.projection_dim else ("visual_projection.weight",)  # of a tower without a projection
    missing = sorted(set(report["missing_keys"]).difference(unused))
    more, other = (sorted(map(str, report[name])) for name in ("unexpected_keys", "mismatched_keys"))
    if missing or more or other:
        raise CheckpointError(
            f"{checkpoint.path}: {len(missing)} weights missing ({few(missing) or 'none'}), {len(more)} unexpected "
            f"({few(more) or 'none'}), {len(other)} of another shape ({few(other) or 'none'}); weights are taken whole "
            "or not at all: is the download complete?"
        )
    return model.eval()


def _run_by(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "layers": settings["num_hidden_layers"],
        "heads": settings["num_attention_heads"],
        "activation": settings["hidden_act"],
    }


def _texts(text: dict[str, Any], draw: torch.Generator) -> Tensor:
    """Draw two random texts [2, T] of different lengths."""
    length, end = text["max_position_embeddings"], text["eos_token_id"]
    ids = torch.randint(1, end - 1, (2, length), generator=draw)
    for row, place in zip(ids, (length - 1, length // 2), strict=True):
        row[place] = end
        row[place + 1 :] = 0
    return ids


def _difference(got: Tensor, wanted: Tensor) -> float:
    return ((got - wanted).abs().max() / wanted.abs().max()).item()
