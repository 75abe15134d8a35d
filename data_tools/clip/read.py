"""Read a CLIP from a local path: a directory of Transformers or open_clip, or a file of open_clip's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.published.pathgen_clip import checkpoint_of_file

from .architectures import check_published_file, fitting, model_config, shape_of_weights
from .open_clip_towers import OpenClipTowers, read_open_clip_weights
from .towers import Towers, TransformersTowers, first_files

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)


def read_towers(path: Path, arch: str | None, activation: str | None = None) -> Towers:
    """Read the towers in a directory, or in a file of open_clip's weights.

    Raises:
        PathPluginsError: the path is no CLIP in one of these forms.
        CheckpointError: weights that do not fit.
    """
    if path.is_file():
        return _from_file(path, arch, activation)
    if not path.is_dir():
        raise PathPluginsError(
            f"--clip {path}: no such file or directory; nothing is downloaded: fetch a model with "
            "'hf download REPOSITORY --local-dir DIR' and pass DIR"
        )
    for option, value in (("--clip-arch", arch), ("--activation", activation)):
        if value is not None:
            raise PathPluginsError(
                f"{option} {value}: --clip {path} is a directory, whose own files record it: leave {option} out"
            )
    if (path / OPEN_CLIP_CONFIG).is_file() and (found := first_files(path, OPEN_CLIP_WEIGHTS, needed=False)):
        told = _read_json(path / OPEN_CLIP_CONFIG)
        if "model_cfg" not in told:
            raise PathPluginsError(f"{path / OPEN_CLIP_CONFIG}: has no model_cfg, only {sorted(told)}; fetch it again")
        return OpenClipTowers(found[0], path.resolve().name, told["model_cfg"], told.get("preprocess_cfg", {}))
    kind = _read_json(path / "config.json").get("model_type") if (path / "config.json").is_file() else None
    if kind != "clip":
        found = (
            f"config.json says model_type {kind!r}" if kind else f"no config.json, no {OPEN_CLIP_CONFIG} with weights"
        )
        raise PathPluginsError(
            f"--clip {path}: {found}; wanted a CLIP of Transformers (model_type clip) or of open_clip, with both "
            "towers; where there is only a file of weights, pass that file and --clip-arch"
        )
    return TransformersTowers(path)


def _from_file(path: Path, arch: str | None, activation: str | None) -> Towers:
    if arch is None:
        raise PathPluginsError(
            f"--clip {path}: this weights file does not record its architecture; {_which_architecture(path)}"
        )
    config = model_config(arch, activation)
    if activation is None:
        check_published_file(path.name, arch, config)
    towers = OpenClipTowers(path, arch, config, {})
    towers.activation = activation
    return towers


def _which_architecture(path: Path) -> str:
    """Return what name and shapes of a file say of its architecture, and what to pass."""
    if published := checkpoint_of_file(path.name):
        return f"its name is that of {published.name}: pass --clip-arch {published.name}"
    if names := fitting(shape_of_weights(read_open_clip_weights(path))):
        return f"its shapes match {', '.join(names)}: pass --clip-arch {names[0]}"
    return "its shapes match no model of open_clip: pass the file of a CLIP"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise PathPluginsError(f"{path}: not readable as JSON ({error}); fetch it again") from error
