"""Read the options of a training run from a YAML file and ``key=value`` words."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from pathplugins.classify.options import ClassifyArguments
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path, nearest
from pathplugins.core.optional import need

#: values of TrainingArguments where ours differ; what a file says is stronger
DEFAULTS: dict[str, Any] = {
    "report_to": "tensorboard",
    "logging_steps": 10,
    "lr_scheduler_type": "cosine",
    "dataloader_num_workers": 4,
    "dataloader_drop_last": True,
    "remove_unused_columns": False,
}
#: keys that would break the promise of equal losses after a resume, or mean nothing here: key -> what to do instead
REFUSED = {
    "resume_from_checkpoint": "the same command resumes by itself; remove the key",
    "ignore_data_skip": "a resumed run continues with the next picture; remove the key",
    "save_only_model": "such a checkpoint cannot be resumed; remove the key",
    "auto_find_batch_size": "it would change the pictures of a step; set per_device_train_batch_size",
    "group_by_length": "pictures have no length; remove the key",
    "logging_dir": "TensorBoard's files go to logs/ of output_dir; remove the key",
    "deepspeed": "one GPU holds a patch encoder; remove the key and start with torchrun",
    "fsdp": "one GPU holds a patch encoder; remove the key and start with torchrun",
}
#: keys of TrainingArguments that it takes unchecked, and that fail only in the middle of a training
POSITIVE = (
    *("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"),
    *("learning_rate", "num_train_epochs", "logging_steps", "save_steps"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of one run, as given: defaults of TrainingArguments are not in it."""

    options: ClassifyArguments
    training: dict[str, Any]
    """Keyword arguments of TrainingArguments."""


def read_settings(path: Path, words: Sequence[str] = ()) -> Settings:
    """Read a recipe's YAML file, changed by ``key=value`` words.

    Raises:
        PathPluginsError: no such file, no mapping, or unknown, missing or wrong values: all of them in one report.
    """
    return settings_of({**_mapping(path), **_overrides(words)}, where=str(path))


def settings_of(values: Mapping[str, Any], *, where: str) -> Settings:
    """Sort keys into our options and those of TrainingArguments.

    Args:
        values: key -> value as YAML gives it; numbers may be text, as YAML reads ``1e-4``.
        where: what messages name.

    Raises:
        PathPluginsError: see `read_settings`.
    """
    ours, theirs = _hints(ClassifyArguments), training_hints()
    wrong = [_unknown(key, [*ours, *theirs]) for key in values if key not in ours and key not in theirs]
    wrong += [f"{key}: {REFUSED[key]}" for key in values if key in REFUSED and values[key]]
    required = [field.name for field in fields(ClassifyArguments) if field.default is MISSING]
    wrong += [f"{key} is missing" for key in (*required, "output_dir") if values.get(key) in (None, "")]
    if wrong:
        raise PathPluginsError("\n".join((f"{where}: the options cannot be used:", *wrong)))
    typed = {key: _number(value, {**theirs, **ours}[key]) for key, value in values.items()}
    if wrong := [
        f"{key} is {typed[key]!r}, wanted a number above 0" for key in POSITIVE if _is_not_positive(typed, key)
    ]:
        raise PathPluginsError("\n".join((f"{where}: the options cannot be used:", *wrong)))
    try:
        options = ClassifyArguments(**{key: value for key, value in typed.items() if key in ours})
    except PathPluginsError as error:
        raise PathPluginsError(f"{where}: the options cannot be used:\n{error}") from None
    training = {key: value for key, value in typed.items() if key in theirs}
    return Settings(options=options, training={**_known_defaults(theirs), **training})


def training_hints() -> dict[str, Any]:
    """Return name -> type of every option of the installed TrainingArguments."""
    return _hints(need("transformers", extra="patchtcga").TrainingArguments)


def _known_defaults(theirs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in DEFAULTS.items() if key in theirs}


def _hints(owner: type) -> dict[str, Any]:
    hints = typing.get_type_hints(owner)
    return {field.name: hints[field.name] for field in fields(owner) if field.init}


def _mapping(path: Path) -> dict[str, Any]:
    yaml = need("yaml", extra="patchtcga")
    if not path.is_file():
        raise PathPluginsError(
            f"{path} does not exist{near_path(path)}; `pathplugins configs copy classify` copies the recipes"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PathPluginsError(f"{path}: not YAML: {' '.join(str(error).split())}; correct the line") from None
    except RecursionError:
        raise PathPluginsError(f"{path}: its lists or mappings lie too deep in each other; correct it") from None
    if not isinstance(content, dict):
        raise PathPluginsError(f"{path}: holds no options; wanted lines like `recipe: supervised`")
    return content


def _overrides(words: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``key=value`` words, read as YAML reads them."""
    yaml = need("yaml", extra="patchtcga")
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise PathPluginsError(f"{word}: wanted key=value, such as learning_rate=1e-4")
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, RecursionError):
            raise PathPluginsError(f"{word}: the value is no YAML; put quotes around text with : or [") from None
    return found


def _unknown(key: str, known: Sequence[str]) -> str:
    near = nearest(str(key), known)
    return f"unknown option {key!r}{f'. Did you mean {near!r}?' if near else '; remove it'}"


def _is_not_positive(values: Mapping[str, Any], key: str) -> bool:
    """Return whether a value is given, and is no number above 0."""
    value = values.get(key, 1)
    return isinstance(value, bool) or not isinstance(value, int | float) or not value > 0


def _number(value: Any, hint: Any) -> Any:
    """Return text as the number that the option takes: YAML reads ``1e-4`` as text."""
    options = typing.get_args(hint) or (hint,)
    if isinstance(value, str) and float in options:
        try:
            return float(value)
        except ValueError:
            return value
    return value
