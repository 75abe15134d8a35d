"""Read and write connectors: ``mm_projector.bin`` of WSI-LLaVA and LLaVA, XTuner's ``.pth``, training directories."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.connectors.mlp import GammaMLPConnector, logit_of
from pathplugins.weights import Weights, open_weights
from pathplugins.weights.compare import few, mismatch
from pathplugins.weights.deepspeed_folder import is_deepspeed
from pathplugins.weights.model_folder import BIN_WHOLE, holds_safetensors
from pathplugins.weights.names import pallava as pallava_names

logger = logging.getLogger(__name__)

FILE = "mm_projector.bin"
SETTINGS = "mm_projector.json"
ADAPTER = "adapter_model.safetensors"
PREFIX = "multi_modal_projector."
"""Before the names of the connector's weights in a checkpoint of the whole model."""
SCALE = "scale_logit"

_PREFIXES = (PREFIX, "mm_projector.", pallava_names.PREFIX)
"""What stands before a connector's names: ours, LLaVA's, XTuner's (PA-LLaVA's among them)."""
_PUBLISHED = {"gamma_logit": SCALE, "0": "linear_1", "2": "linear_2"}
"""First part of a published name -> ours: WSI-LLaVA's logit, the places in LLaVA's ``nn.Sequential``."""

Bounds = tuple[float, float]


def load_projector(connector: nn.Module, path: Path, *, keep_scale: bool = False) -> None:
    """Load ``path`` into ``connector``.

    Args:
        connector: one of `pathplugins.models.connectors.CONNECTORS`.
        path: a file, or a directory with ``mm_projector.bin``, a checkpoint of the whole model or a PEFT adapter, or
            one that XTuner wrote.
        keep_scale: for `gamma_mlp`: when the bounds differ from those the file was trained with, solve the logit for
            the trained scale. Without it the logit is kept, the scale changes, and a warning gives both.
    """
    state, bounds = read_projector(path)
    anew = {name for name in getattr(connector, "may_start_anew", ()) if name in connector.state_dict()}
    if anew and not anew & state.keys():
        logger.warning("%s holds no %s: they start anew", path, " and no ".join(sorted(anew)))
        state |= {name: connector.state_dict()[name] for name in anew}
    if report := mismatch(connector.state_dict(), state):
        raise CheckpointError(
            f"{path} does not fit the connector {type(connector).__name__}: {report}; "
            "check mm_projector_type, mm_hidden_size and the language model it was trained with"
        )
    connector.load_state_dict(state)
    if not isinstance(connector, GammaMLPConnector):
        return
    now = (connector.scale_min, connector.scale_max)
    if keep_scale and bounds is None:
        raise PathPluginsError(
            f"keep_gamma: {path} does not say between which bounds it was trained; write them beside it, in "
            f'{SETTINGS}: {{"scale_min": 1.2, "scale_max": 1.8}}'
        )
    logit = connector.scale_logit.item()
    if keep_scale and bounds != now:
        nn.init.constant_(connector.scale_logit, logit_of(scale_of(logit, bounds), *now))
    elif bounds is not None:
        warn_of_changed_scale(path, logit, bounds, now)


def read_projector(path: Path) -> tuple[dict[str, Tensor], Bounds | None]:
    """Return weights by our names, and the bounds of the scale where they are recorded."""
    weights = _opened(path)
    tensors = dict(weights.containing(_marker(weights)))  # a checkpoint of the whole model is gigabytes
    state = from_published(tensors)
    lora = [name for name in state if ".lora_" in name]
    if lora or not state:
        found = f"LoRA on the connector ({few(lora)}); merge it first" if lora else few(tensors) or "none"
        raise CheckpointError(f"{path}: wanted the weights of a connector, found {found}; give the output of stage 2")
    return state, _bounds(path if path.is_dir() else path.parent)


def projector_options(path: Path) -> dict[str, Any]:
    """Return the options of the connector at ``path``, where it cannot be built without them.

    For a `scale_invariant` connector these are recorded beside the weights, and follow from their names and shapes,
    which count for more. Other connectors need none: their shape is that of the models around them.
    """
    told = pallava_names.published_options(read_projector(path)[0])
    recorded = _recorded(path if path.is_dir() else path.parent) if told else {}
    return {**{name: value for name, value in recorded.items() if name != "type"}, **told}


def save_projector(state: dict[str, Tensor], folder: Path, config: dict[str, Any]) -> Path:
    """Write ``mm_projector.bin`` by the published key names, with its configuration beside it.

    Args:
        state: connector weights by our names.
        folder: output directory of a training run.
        config: ``projector_config`` of the model.
    """
    beside = folder / (FILE + ".tmp")
    torch.save(to_published({key: value.detach().cpu().contiguous() for key, value in state.items()}), beside)
    beside.replace(folder / FILE)
    write_json(folder / SETTINGS, config)
    return folder / FILE


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return connector weights by our names; weights marked as belonging to other parts of the model are left out.

    LLaVA's own file says ``model.mm_projector.{0,2}.*``; WSI-LLaVA's has bare names with ``gamma_logit``; XTuner's says
    ``projector.model.``, and ``model.`` in a directory of its own; PEFT puts its words before and behind our name.
    """
    marker = _marker(state)
    renamed = {}
    for key, value in state.items():
        if marker not in key:
            continue
        if marker:
            key = key.split(marker, 1)[1].removeprefix("modules_to_save.").removeprefix("default.")
        elif key.startswith("model."):
            key = key.removeprefix("model.")
        if key.startswith("original_module."):  # what PEFT keeps of the time before training
            continue
        if (key := pallava_names.to_ours(key)) is None:
            continue
        head, dot, rest = key.partition(".")
        head = _PUBLISHED.get(head, head)
        if not dot and head in ("weight", "bias"):  # LLaVA's `linear` type is the bare layer
            head, dot, rest = "linear_1", ".", head
        renamed[head + dot + rest] = value.reshape(1) if head == SCALE and value.numel() == 1 else value
    return renamed


def _marker(names: Iterable[str]) -> str:
    """Return what marks the connector's names in a file of more than the connector."""
    names = list(names)
    return next((prefix for prefix in _PREFIXES if any(prefix in name for name in names)), "")


def to_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by the names of the published files: PA-LLaVA's, else WSI-LLaVA's, which renames the logit."""
    if pallava_names.is_pallava(state):
        return {pallava_names.to_published(key): value for key, value in state.items()}
    return {"gamma_logit" if key == SCALE else key: value for key, value in state.items()}


def scale_of(logit: float, bounds: Bounds) -> float:
    """Return the scale that ``logit`` means between ``bounds``."""
    low, high = bounds
    return low + torch.tensor(logit, dtype=torch.float64).sigmoid().item() * (high - low)


def warn_of_changed_scale(source: Path, logit: float, trained: Bounds, now: Bounds) -> None:
    """Warn where the same logit means another scale under other bounds."""
    if abs(scale_of(logit, trained) - scale_of(logit, now)) < 1e-6:
        return
    logger.warning(
        "%s was trained with gamma %.4f (bounds %s to %s); under the bounds %s to %s the same weights have gamma %.4f. "
        "Compose with projector_path and keep_gamma: true to keep the trained value",
        source,
        scale_of(logit, trained),
        *trained,
        *now,
        scale_of(logit, now),
    )


def bounds_for(path: Path, options: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, float]:
    """Return the bounds of a trained connector's scale: as asked, else as recorded beside it, else as it is by default.

    The last is said in a warning: the file does not know them, and the same weights have another scale under others.

    Args:
        path: of the trained connector.
        options: all options of the connector, with the defaults.
        asked: the options that the caller gave.
    """
    names = ("scale_min", "scale_max")
    recorded = dict(zip(names, _bounds(path if path.is_dir() else path.parent) or (), strict=False))
    if unsaid := [name.replace("scale", "gamma") for name in names if name not in asked and name not in recorded]:
        logger.warning(
            "%s does not say between which bounds its gamma was trained, and neither do you: taken are %s to %s. "
            "WSI-LLaVA's stages had 0.8 to 2.0 (its code), 1.2 to 1.8 (stage 2) and 1.8 to 1.9 (stage 3): set %s to "
            "what the run had that wrote the file",
            path,
            *(asked.get(name, options[name]) for name in names),
            " and ".join(unsaid),
        )
    return {name: asked.get(name, recorded.get(name, options[name])) for name in names}


def _opened(path: Path) -> Weights:
    """Open the weights at ``path``: a file, or a directory that a trainer or a converter wrote."""
    for name in (FILE, ADAPTER):
        if (path / name).is_file():
            return open_weights(path / name)
    # ``projector/`` of ``xtuner convert pth_to_hf`` holds pytorch_model.bin, ``iter_N.pth/`` is DeepSpeed's
    if not path.is_dir() or holds_safetensors(path) or (path / BIN_WHOLE).is_file() or is_deepspeed(path):
        return open_weights(path)
    raise CheckpointError(
        f"{path} holds neither {FILE} nor {ADAPTER} nor the .safetensors of a whole model nor {BIN_WHOLE} nor "
        "DeepSpeed's *_model_states.pt; give the output directory of stage 2 or one of its checkpoints"
    )


def _recorded(folder: Path) -> dict[str, Any]:
    """Return the recorded ``projector_config`` of a folder's weights, empty where there is none."""
    for name in (SETTINGS, "config.json"):
        if (folder / name).is_file():
            config = read_json(folder / name)
            if config := config if name == SETTINGS else config.get("projector_config"):
                return config
    return {}


def _bounds(folder: Path) -> Bounds | None:
    config = _recorded(folder)
    return (config["scale_min"], config["scale_max"]) if {"scale_min", "scale_max"} <= config.keys() else None
