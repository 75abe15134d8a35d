"""JSON sources: the samples of a JSON list, a JSON object id -> sample, JSON lines, or a folder of such files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats._rows import Row, read_lines, shown
from pathplugins.data.records import BadSample

SUFFIXES = (".json", ".jsonl")

_EXPECTED = "a JSON list of samples, an object id -> sample, or one sample a line (JSON lines)"


def read_samples(path: Path) -> Iterator[Row | BadSample]:
    """Rows of a file, or of all ``*.json`` and ``*.jsonl`` of a folder, in the order of their names.

    JSON lines are numbered by line, the samples of a list or an object by position, from 1.

    Raises:
        PathPluginsError: no such file, none in the folder, empty, a Git-LFS pointer, or not JSON of these shapes.
    """
    for file in _files(path):
        yield from _read_file(file)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        raise PathPluginsError(
            f"{path} is a tokenized dataset on disk, not JSON samples; in an XTuner config it is "
            "offline_processed_text_folder"
        )
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.name[0] != ".")
    if not found:
        raise PathPluginsError(f"{path}: no .json or .jsonl file in this folder; expected {_EXPECTED} in each")
    return found


def _read_file(path: Path) -> Iterator[Row | BadSample]:
    lines = read_lines(path, wanted=_EXPECTED)
    if path.suffix == ".jsonl":
        yield from _read_json_lines(path, lines)
        return
    text = "".join(lines)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] == "{" and error.msg == "Extra data":  # a second object: lines under another suffix
            yield from _read_json_lines(path, text.split("\n"))
            return
        if not text.strip():
            raise PathPluginsError(f"{path} is empty; expected {_EXPECTED}") from error
        raise PathPluginsError(
            f"{path}:{error.lineno} is not JSON ({error.msg}, column {error.colno}); expected {_EXPECTED}"
        ) from error
    except RecursionError as error:
        raise PathPluginsError(f"{path} is nested too deeply to be samples; expected {_EXPECTED}") from error
    for number, sample in enumerate(_samples(value, path), start=1):
        yield _row(path, number, sample)


def _samples(value: Any, path: Path) -> list[Any]:
    if isinstance(value, dict):
        many = value and all(isinstance(sample, dict) for sample in value.values())
        value = [{"id": key, **sample} for key, sample in value.items()] if many else [value]
    if not isinstance(value, list):
        raise PathPluginsError(f"{path} holds {shown(value)}; expected {_EXPECTED}")
    if not value or value == [{}]:
        raise PathPluginsError(f"{path} holds no samples; expected {_EXPECTED}")
    return value


def _read_json_lines(path: Path, lines: Iterable[str]) -> Iterator[Row | BadSample]:
    """One sample a line; blank lines are left out. A file without a single line of JSON is an error."""
    readable, first_fault = False, ""
    pending: list[BadSample] = []  # held back until one line is readable
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            first_fault = first_fault or f"{path}:{number} is not JSON ({error})"
            bad = BadSample(source=str(path), row=number, reason="malformed row", detail=f"not JSON: {error}")
            if readable:
                yield bad
            else:
                pending.append(bad)
            continue
        readable = True
        yield from pending
        pending.clear()
        yield _row(path, number, value)
    if not readable:
        raise PathPluginsError(f"{first_fault or f'{path} is empty'}; expected one JSON object a line")


def _row(path: Path, number: int, value: Any) -> Row | BadSample:
    if isinstance(value, dict):
        return Row(str(path), number, value)
    detail = f"{shown(value)} is no JSON object; expected one object per sample"
    return BadSample(source=str(path), row=number, reason="malformed row", detail=detail)
