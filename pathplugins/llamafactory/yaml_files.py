"""Read YAML configurations: take keys given twice, and check keys, values and names before anything is loaded."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.core.registry import unknown
from pathplugins.llamafactory.keys import KEYS, PathPluginsArguments
from pathplugins.llamafactory.machine import check_ray, fit_to_machine
from pathplugins.llamafactory.model_directory import VIRTUAL_MODEL, model_settings
from pathplugins.llamafactory.name_checks import check_datasets, check_paths, check_template
from pathplugins.llamafactory.templates import KINDS, exact_templates
from pathplugins.llamafactory.value_checks import check_values

logger = logging.getLogger(__name__)


def tolerant_reader(parser: ModuleType) -> Callable[..., Any]:
    """Return LLaMA-Factory's ``read_args`` with checks for configurations of ours.

    Both published WSI-LLaVA files give ``save_steps`` twice, which OmegaConf refuses; the last one counts, as YAML
    readers have it, and a warning says so. A key nobody knows is answered with the nearest one that exists.
    """
    original = parser.read_args

    def read_args(args: dict[str, Any] | list[str] | None = None) -> dict[str, Any] | list[str]:
        result, source = read_unchecked(parser, original, args)
        if isinstance(result, dict) and is_ours(result):
            for _, check in checks(result, parser, source):
                check()
            fit_to_machine(result)
        return result

    return read_args


def read_unchecked(
    parser: ModuleType, original: Callable[..., Any], args: dict[str, Any] | list[str] | None = None
) -> tuple[dict[str, Any] | list[str], str]:
    """Return what LLaMA-Factory's ``read_args`` would, keys given twice taken once, and the file it is from."""
    given = args is None and len(sys.argv) > 1 and sys.argv[1].endswith((".yaml", ".yml"))
    if given:
        _refuse_pieces(Path(sys.argv[1]), sys.argv[2:])
    if given and VIRTUAL_MODEL in (text := Path(sys.argv[1]).read_text(encoding="utf-8")):
        once = without_repeated_keys(text, sys.argv[1])
        merged = parser.OmegaConf.merge(parser.OmegaConf.create(once), parser.OmegaConf.from_cli(sys.argv[2:]))
        result = parser.OmegaConf.to_container(merged)
    else:
        result = original(args)
    return result, sys.argv[1] if given else "the configuration"


def _refuse_pieces(file: Path, words: Sequence[str]) -> None:
    """Refuse overrides that are no ``key=value``: of a value with blanks, LLaMA-Factory hands the pieces to torchrun.

    OmegaConf takes each piece for a key, or for broken JSON.
    """
    pieces = [word for word in words if "=" not in word]
    if not pieces or not is_file(file):
        return
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return  # the trainer says what is wrong with it
    if not isinstance(config, dict) or not is_ours(config):
        return
    before = words[words.index(pieces[0]) - 1] if words.index(pieces[0]) else ""
    key = before.partition("=")[0]
    said = f"; they are pieces of the value of {key}" if key else ""
    raise PathPluginsError(
        f"overrides: {', '.join(map(repr, pieces))} are no key=value{said}. LLaMA-Factory splits its command line at "
        f"blanks when it starts torchrun, whatever quotes are around them: write {key or 'such a value'} into {file}, "
        'or without blanks ({"name":0.5})'
    )


def is_ours(config: dict[str, Any]) -> bool:
    """Whether a configuration is for a model of ours: it names one, or has a key or a template that is ours alone."""
    model, template = config.get("model_name_or_path"), str(config.get("template"))
    named = model == VIRTUAL_MODEL or (isinstance(model, str) and model_settings(model) is not None)
    return named or bool(config.keys() & set(KEYS)) or template.startswith((*KINDS, *exact_templates()))


def checks(config: dict[str, Any], parser: ModuleType, source: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what is looked at in a configuration of ours: its name for people, and what raises `PathPluginsError`.

    The first two judge keys and values by themselves; the others take these for granted.
    """
    yield "keys", lambda: _refuse_unknown(config, parser)
    yield "values", lambda: check_values(config, PathPluginsArguments, [*_classes(parser)], source)
    yield "infer_backend", lambda: _check_engine(config)
    yield "DeepSpeed", lambda: _check_deepspeed(config, source)
    yield "Ray", check_ray
    if not isinstance(config.get("model_name_or_path"), str):
        return
    yield "paths", lambda: check_paths(config)
    settings = model_settings(config["model_name_or_path"])
    if settings is not None or config["model_name_or_path"] == VIRTUAL_MODEL:
        yield "template", lambda: check_template(config, settings)
        yield "data sets", lambda: check_datasets(config)


def _check_engine(config: dict[str, Any]) -> None:
    if (engine := config.get("infer_backend", "huggingface")) not in ("huggingface", "hf"):
        raise PathPluginsError(f"infer_backend: {engine} does not know this model; set infer_backend: huggingface")


def _check_deepspeed(config: dict[str, Any], source: str) -> None:
    if Path(source).is_file():
        _find_beside(config, Path(source))
    name = config.get("deepspeed")
    if isinstance(name, str) and not is_file(Path(name)):
        raise PathPluginsError(
            f"deepspeed: {name}: no such file, here or beside {source}{near_path(Path(name))}; "
            "`pathplugins configs copy llamafactory/deepspeed` brings ours"
        )


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
