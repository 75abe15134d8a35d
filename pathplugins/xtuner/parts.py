"""Turn the model of a config into a model directory, and read what lies in it.

``model`` is a composed or trained directory, or the parts of one: a dictionary of the fields of `ComposeSpec`, whose
directory is composed once and cached, the same one LLaMA-Factory finds for the same parts.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.registry import unknown
from pathplugins.core.value_types import wrong_types
from pathplugins.models.compose.compose import composed
from pathplugins.models.compose.local_copy import FILES, TOWER_FILES, local_copy
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.custom_llava.auto import register
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaProcessor
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.register import no_accelerator

Model = str | Path | Mapping[str, Any]


def model_directory(model: Model) -> Path:
    """Return the directory of ``model``, which is composed if parts are given and no such directory exists yet."""
    return _directory(as_text(model))


def load_processor(model: Model) -> CustomLlavaProcessor:
    """Return the processor of ``model``, one per process."""
    return _processor(as_text(model))


def model_settings(model: Model) -> dict[str, Any]:
    """Return ``config.json`` of ``model``."""
    return read_json(model_directory(model) / "config.json")


@options_of("model.llm")
def load_model(
    model: Model, torch_dtype: Any = "auto", quantization_config: Any = None, attn_implementation: str | None = None
) -> Any:
    """Load `custom_llava` with its weights, for ``llm=dict(type=load_model, model=...)`` of a config.

    Args:
        model: directory or parts.
        torch_dtype: of the weights; ``"auto"`` is the checkpoint's. float16 is bfloat16 where there is no accelerator.
        quantization_config: for QLoRA; vision tower, connector and head are left as they are.
        attn_implementation: of the language model; Transformers chooses when None.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    register()
    options: dict[str, Any] = {}
    if quantization_config is not None:
        quantization_config.llm_int8_skip_modules = [
            "vision_tower",
            "token_selector",
            "multi_modal_projector",
            "lm_head",
        ]
        options["quantization_config"] = quantization_config
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    if isinstance(torch_dtype, str) and torch_dtype != "auto":
        torch_dtype = getattr(torch, torch_dtype.removeprefix("torch."))
    if torch_dtype is torch.float16 and no_accelerator():
        torch_dtype = torch.bfloat16  # the half precision of the CPU, which its autocast cannot mix with the other
    directory = model_directory(model)
    return AutoModelForImageTextToText.from_pretrained(directory, torch_dtype=torch_dtype, **options)


def as_text(value: Any) -> str:
    """Return a value of a config as text, by which its dictionaries are compared and cached."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    """Return ``value`` without MMEngine's types, whose ``to_dict`` gives the name of an import, not its value."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


@functools.cache
def _directory(key: str) -> Path:
    model = json.loads(key)
    if isinstance(model, str):
        if not (Path(model) / "config.json").is_file():
            raise PathPluginsError(f"model: {model} holds no config.json; give a composed or trained directory")
        return Path(model).absolute()
    if "llm" not in model:
        raise PathPluginsError(f"model: the parts {sorted(model)} name no llm; give the language model to build on")
    _check_parts(model)
    model["llm"] = local_copy(model["llm"], "llm", FILES)
    for name, files in (("vision_tower", TOWER_FILES), ("projector_path", TOWER_FILES)):
        if model.get(name) is not None:
            model[name] = local_copy(model[name], name, files)
    return composed(ComposeSpec(**model))


def _check_parts(model: dict[str, Any]) -> None:
    """Raise when a part has a name nobody knows or a value of the wrong type."""
    known = [field.name for field in fields(ComposeSpec)]
    problems = [unknown("part", name, known) for name in model if name not in known]
    problems += [f"{name}: {said}" for name, said in wrong_types(ComposeSpec, model).items()]
    if problems:
        raise PathPluginsError(
            f"model: {'; '.join(problems)}; correct the config, the parts are the options of `pathplugins compose`"
        )


@functools.cache
def _processor(key: str) -> CustomLlavaProcessor:
    return CustomLlavaProcessor.from_pretrained(_directory(key))
