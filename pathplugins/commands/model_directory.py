"""Find the directory of a model, and refuse one that holds something else before any weights are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.nearest import near_path

MODEL_TYPE = "custom_llava"
ADAPTER = "adapter_config.json"
_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
_SHOWN = 8


def model_directory(name: str, option: str = "MODEL") -> Path:
    """Return the directory of a composed or trained model.

    Args:
        name: the directory, or the hub id of a model, which is fetched into the Hugging Face cache.
        option: what asked for it, for messages.

    Raises:
        PathPluginsError: there is no such directory or hub repository, or it holds no model of this package: a plain
            language model, an adapter, the folder of a training run. The message says what it is and what to type.
    """
    path = _local(name, option)
    config = path / "config.json"
    if not config.is_file():
        raise PathPluginsError(_no_model(path))
    settings = read_json(config)
    if settings.get("model_type") != MODEL_TYPE:
        raise PathPluginsError(_other_model(path, settings))
    if not (any(path.glob("*.safetensors")) or any(path.glob("*.bin"))):
        raise PathPluginsError(f"{path} holds no weights (*.safetensors); it holds {_names(path)}. Copy it again")
    for needed in ("preprocessor_config.json", "processor_config.json"):
        if not (path / needed).is_file():
            raise PathPluginsError(
                f"{path} holds a model but no {needed}, which says how it reads images; copy preprocessor_config.json "
                "and processor_config.json from the model it was trained from"
            )
    return path


def adapter_directory(name: str, option: str = "--adapter") -> Path:
    """Return the directory of a LoRA adapter, given as a directory or hub id.

    Raises:
        PathPluginsError: there is no such directory or hub repository, or it holds no adapter.
    """
    path = _local(name, option)
    if not (path / ADAPTER).is_file():
        raise PathPluginsError(
            f"{option} {path} holds no {ADAPTER} (it holds {_names(path)}); give the output folder of a LoRA training"
            f"{_checkpoints(path)}"
        )
    return path


def _local(name: str, option: str) -> Path:
    """Return a name as a directory that exists; a hub repository is fetched."""
    from pathplugins.models.compose.local_copy import FILES, local_copy

    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise PathPluginsError(f"{option} {name} is a file; give the directory of a model, {path.parent} perhaps")
    if not _HUB_ID.fullmatch(name) or path.parent.is_dir():
        raise PathPluginsError(f"{option} {name}: no such directory{near_path(path)}")
    return Path(local_copy(name, option, FILES))


def _no_model(path: Path) -> str:
    """Say what a directory without ``config.json`` holds, and how to get a model from it."""
    if (path / ADAPTER).is_file():
        base = read_json(path / ADAPTER).get("base_model_name_or_path") or "MODEL"
        return f"{path} is a LoRA adapter, not a model: give the model it was trained on, `{base} --adapter {path}`"
    if checkpoints := sorted(each.name for each in path.glob("iter_*.pth")):
        return (
            f"{path} holds checkpoints of XTuner; make a model of one: "
            f"pathplugins export xtuner {path / checkpoints[-1]} --config CONFIG.py --out DIR"
        )
    if (path / "mm_projector.bin").is_file():
        return (
            f"{path} holds a trained connector (mm_projector.bin) and no model: export with projector_path: "
            f"{path / 'mm_projector.bin'}, or pathplugins compose --projector-path {path} ..."
        )
    return f"{path} holds no model (no config.json); it holds {_names(path) or 'nothing'}{_checkpoints(path)}"


def _other_model(path: Path, settings: Mapping[str, Any]) -> str:
    """Say which model a ``config.json`` is of, and how to get one of ours from it."""
    kind = settings.get("model_type", "no model_type")
    if "llava" in str(kind) or "mm_vision_tower" in settings:
        return f"{path} is a {kind} of another project; bring it here: pathplugins import-weights {path} --out DIR"
    if "vision_config" in settings:
        return f"{path} is a {kind}, not a {MODEL_TYPE}; give a directory of 'pathplugins compose'"
    return (
        f"{path} is a plain language model ({kind}), which reads neither images nor bags; give it a vision tower: "
        f"pathplugins compose --llm {path} --vision-tower WEIGHTS --out DIR"
    )


def _checkpoints(path: Path) -> str:
    """Return a hint at the checkpoints below a training's output folder, the last one by its step."""
    found = [each for each in path.glob("checkpoint-*") if each.is_dir()]
    steps = {int(each.name.rpartition("-")[2]): each for each in found if each.name.rpartition("-")[2].isdigit()}
    return f"; give one of its checkpoints, e.g. {steps[max(steps)]}" if steps else ""


def _names(path: Path) -> str:
    names = sorted(each.name for each in path.iterdir() if not each.name.startswith("."))
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
