"""Write a patch encoder as a folder in timm's hub format, which `folder_card` and timm itself read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins import __version__
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import replacing, write_json
from pathplugins.core.optional import need
from pathplugins.encoders.build import build_model
from pathplugins.encoders.pooling import feature_width
from pathplugins.published.encoder_card import EncoderCard, Pool
from pathplugins.published.preprocessing import Preprocess
from pathplugins.weights.compare import mismatch

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def write_encoder_folder(
    out: Path,
    *,
    architecture: str,
    model_args: Mapping[str, Any],
    state: Mapping[str, Any],
    preprocess: Preprocess,
    origin: Mapping[str, Any],
    pool: Pool = "model",
) -> None:
    """Write ``config.json`` and ``model.safetensors`` into ``out``; what else lies there stays.

    Args:
        out: a directory, made where it does not exist.
        architecture: timm's name of the model.
        model_args: arguments of the model in plain values, as in a card's ``timm_kwargs``; ``num_classes`` is 0 where
            it is not given, and is not written when it is 0: Transformers gives it to timm itself.
        state: all weights of that model by timm's names, and no other; any device and type.
        preprocess: steps that turn a patch into the model's input.
        origin: where the weights come from, in plain values; kept for the reader, of no effect.
        pool: how the model's output becomes one vector a patch.

    Raises:
        CheckpointError: ``state`` is not exactly that of the architecture; nothing was written.
    """
    torch, safetensors = need("torch"), need("safetensors.torch")
    kept = {name: value for name, value in model_args.items() if (name, value) != ("num_classes", 0)}
    card = EncoderCard(name=out.name, architecture=architecture, timm_kwargs=kept, pool=pool)
    with torch.device("meta"):
        model = build_model(card)
    if report := mismatch(model.state_dict(), state):
        raise CheckpointError(f"{out}: weights that are not those of {architecture} {kept}: {report}")
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with replacing(out / WEIGHTS) as temporary:
        safetensors.save_file(tensors, temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)  # safetensors lets nobody else read it
    config = {
        "architecture": architecture,
        "num_classes": model.num_classes,
        "num_features": feature_width(pool, model),
        "model_args": kept,
        "pretrained_cfg": _preprocessing(preprocess, model.num_classes, model.default_cfg),
        "origin": {**origin, "pathplugins": __version__},
    }
    write_json(out / CONFIG, config if pool == "model" else {**config, "pool": pool})


def _preprocessing(preprocess: Preprocess, classes: int, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return timm's ``pretrained_cfg``; the crop is ``crop_pct`` of the resized side, rounded down."""
    crop, resize = preprocess.crop_px, preprocess.resize_px
    share = crop / resize
    return {
        "input_size": [3, crop, crop],
        "crop_pct": share if math.floor(crop / share) == resize else crop / (resize + 0.5),
        "interpolation": preprocess.interpolation,
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "num_classes": classes,
        "first_conv": known.get("first_conv"),
        "classifier": known.get("classifier"),
    }
