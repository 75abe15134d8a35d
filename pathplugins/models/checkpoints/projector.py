"""Connector files: ``mm_projector.bin`` of WSI-LLaVA and LLaVA, safetensors, or a training output directory."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError
from pathplugins.models.connectors.mlp import (
    GammaMLPConnector,
    from_published,
    load_connector,
    logit_of,
    to_published,
)

logger = logging.getLogger(__name__)

FILE = "mm_projector.bin"
PREFIX = "multi_modal_projector."


def load_projector(connector: nn.Module, path: Path, *, keep_scale: bool = False) -> None:
    """Load ``path`` into ``connector``.

    Args:
        connector: one of `pathplugins.models.connectors.CONNECTORS`.
        path: a file, or a directory with ``mm_projector.bin`` or a checkpoint of the whole model.
        keep_scale: for `gamma_mlp`: when the bounds differ from those the file was trained with, solve the logit for the
            trained scale. Without it the logit is kept, the scale changes, and a warning gives both.
    """
    state, bounds = read_projector(path)
    load_connector(connector, state, str(path))
    if not isinstance(connector, GammaMLPConnector) or bounds is None:
        return
    trained = bounds[0] + torch.sigmoid(connector.scale_logit.detach().float()).item() * (bounds[1] - bounds[0])
    now = connector.scale.item()
    if abs(trained - now) < 1e-6:
        return
    if keep_scale:
        nn.init.constant_(connector.scale_logit, logit_of(trained, connector.scale_min, connector.scale_max))
        return
    logger.warning(
        "%s was trained with gamma %.4f (bounds %s to %s); under the bounds %s to %s the same weights have gamma %.4f. "
        "Set keep_gamma: true to keep the trained value",
        path,
        trained,
        *bounds,
        connector.scale_min,
        connector.scale_max,
        now,
    )


def read_projector(path: Path) -> tuple[dict[str, Tensor], tuple[float, float] | None]:
    """Weights by our names, and the bounds of the scale where they are recorded."""
    folder = path if path.is_dir() else path.parent
    file = path / FILE if path.is_dir() and (path / FILE).is_file() else path
    if file.is_dir():
        state = _from_checkpoint(file)
    elif file.suffix == ".safetensors":
        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
    state = {key: value for key, value in state.items() if "." not in key or "projector" in key or key.count(".") == 1}
    return from_published(state), _bounds(folder)


def save_projector(state: dict[str, Tensor], folder: Path, config: dict[str, Any]) -> Path:
    """Write ``mm_projector.bin`` by the published key names, with its configuration beside it.

    Args:
        state: connector weights by our names.
        folder: output directory of a training run.
        config: ``projector_config`` of the model.
    """
    from pathplugins.models.custom_llava.processing_custom_llava import write_json

    beside = folder / (FILE + ".tmp")
    torch.save(to_published({key: value.detach().cpu().contiguous() for key, value in state.items()}), beside)
    beside.replace(folder / FILE)
    write_json(folder / "mm_projector.json", config)
    return folder / FILE


def _from_checkpoint(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            found.update({key: tensors.get_tensor(key) for key in tensors.keys() if PREFIX in key})  # noqa: SIM118
    if not found:
        raise CheckpointError(
            f"{folder} holds neither {FILE} nor a .safetensors with {PREFIX}* weights; give the output directory of stage 2"
        )
    return {key[key.index(PREFIX) :]: value for key, value in found.items()}


def _bounds(folder: Path) -> tuple[float, float] | None:
    for name, entry in (("mm_projector.json", None), ("config.json", "projector_config")):
        if (folder / name).is_file():
            config = json.loads((folder / name).read_text())
            config = config if entry is None else config.get(entry, {})
            if "scale_min" in config and "scale_max" in config:
                return config["scale_min"], config["scale_max"]
    return None
