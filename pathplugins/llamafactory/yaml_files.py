"""Read YAML configurations: take keys given twice, and check keys, values and names before anything is loaded."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.llamafactory.keys import KEYS, PathPluginsArguments
from pathplugins.llamafactory.machine import fit_to_machine
from pathplugins.llamafactory.model_directory import VIRTUAL_MODEL, model_settings
from pathplugins.llamafactory.name_checks import check_datasets, check_paths, check_template
from pathplugins.llamafactory.templates import KINDS, LLAVA
from pathplugins.llamafactory.value_checks import check_values

logger = logging.getLogger(__name__)


def tolerant_reader(parser: ModuleType) -> Callable[..., Any]:
    """Return LLaMA-Factory's ``read_args`` with checks for configurations of ours.

    Both published WSI-LLaVA files give ``save_steps`` twice, which OmegaConf refuses; the last one counts, as YAML
    readers have it, and a warning says so. A key nobody knows is answered with the nearest one that exists.
    """
    original = parser.read_args

    def read_args(args: dict[str, Any] | list[str] | None = None) -> dict[str, Any] | list[str]:
        given = args is None and len(sys.argv) > 1 and sys.argv[1].endswith((".yaml", ".yml"))
        if given and VIRTUAL_MODEL in (text := Path(sys.argv[1]).read_text(encoding="utf-8")):
            once = without_repeated_keys(text, sys.argv[1])
            merged = parser.OmegaConf.merge(parser.OmegaConf.create(once), parser.OmegaConf.from_cli(sys.argv[2:]))
            result = parser.OmegaConf.to_container(merged)
        else:
            result = original(args)
        if isinstance(result, dict) and _is_ours(result):
            _check(result, parser, sys.argv[1] if given else "the configuration")
        return result

    return read_args


def _is_ours(config: dict[str, Any]) -> bool:
    """Whether a configuration is for a model of ours: it names one, or has a key or a template that is ours alone."""
    model, template = config.get("model_name_or_path"), str(config.get("template"))
    named = model == VIRTUAL_MODEL or (isinstance(model, str) and model_settings(model) is not None)
    return named or bool(config.keys() & set(KEYS)) or template.startswith((*KINDS, *LLAVA))


def _check(config: dict[str, Any], parser: ModuleType, source: str) -> None:
    """Name what is wrong with a configuration of ours, and fit it to this machine."""
    _refuse_unknown(config, parser)
    if (engine := config.get("infer_backend", "huggingface")) not in ("huggingface", "hf"):
        raise PathPluginsError(f"infer_backend: {engine} does not know this model; set infer_backend: huggingface")
    check_values(config, PathPluginsArguments, [*_classes(parser)], source)
    if isinstance(config.get("model_name_or_path"), str):
        check_paths(config)
        settings = model_settings(config["model_name_or_path"])
        if settings is not None or config["model_name_or_path"] == VIRTUAL_MODEL:
            check_template(config, settings)
            check_datasets(config)
    if Path(source).is_file():
        _find_beside(config, Path(source))
    fit_to_machine(config)


def _classes(parser: ModuleType) -> dict[type, None]:
    """Return the argument classes of all commands, in order."""
    lists = (parser._TRAIN_ARGS, parser._INFER_ARGS, parser._EVAL_ARGS, [parser.RayArguments])
    return dict.fromkeys(cls for classes in lists for cls in classes)


def _find_beside(config: dict[str, Any], yaml_file: Path) -> None:
    """Look for a relative ``deepspeed`` file beside the YAML where there is none in the current folder."""
    name = config.get("deepspeed")
    if isinstance(name, str) and not Path(name).exists() and (beside := yaml_file.parent / name).is_file():
        config["deepspeed"] = str(beside)


def without_repeated_keys(text: str, source: str) -> str:
    """Return ``text`` with every top-level key left only where it stands last."""
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        return text
    last = {key.value: key.start_mark.line for key, _ in root.value}
    entries = [key.start_mark.line for key, _ in root.value]
    lines = text.splitlines(keepends=True)
    for (key, _), end in zip(root.value, [*entries[1:], len(lines)], strict=True):
        start = key.start_mark.line
        if start != last[key.value]:
            logger.warning(
                "%s gives %s in lines %d and %d; the last one counts", source, key.value, start + 1, last[key.value] + 1
            )
            lines[start:end] = ["\n"] * (end - start)
    return "".join(lines)


def _refuse_unknown(config: dict[str, Any], parser: ModuleType) -> None:
    if os.environ.get("ALLOW_EXTRA_ARGS", "0").lower() in ("1", "true", "y"):
        return
    known = {item.name for cls in _classes(parser) for item in dataclasses.fields(cls) if item.init}
    wrong = [key for key in config if key not in known]
    if wrong:
        raise PathPluginsError("\n".join(unknown("configuration key", key, known).split(" Known:")[0] for key in wrong))
