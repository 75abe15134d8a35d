"""Read the samples of a JSON list, a JSON object id -> sample, JSON lines, or a folder of such files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.data.formats.reading.json_text import JsonText
from pathplugins.data.formats.reading.rows import Row, read_lines, shown
from pathplugins.data.records import BadSample

SUFFIXES = (".json", ".jsonl")

_EXPECTED = "a JSON list of samples, an object id -> sample, or one sample a line (JSON lines)"


def read_samples(path: Path) -> Iterator[Row | BadSample]:
    """Yield the rows of a file, or of all ``*.json`` and ``*.jsonl`` in a folder, by name.

    JSON lines are numbered by line, the samples of a list or an object by position, from 1. Only a few samples are in
    memory at a time.

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
    if path.suffix == ".jsonl":
        yield from _read_json_lines(path, read_lines(path, wanted=_EXPECTED))
        return
    text = JsonText(path, wanted=_EXPECTED)
    mark = text.peek()
    if not mark:
        raise PathPluginsError(f"{path} is empty; expected {_EXPECTED}")
    if mark == "{":
        short, value = text.short_value()
        if short and text.peek():  # a second object: lines under another suffix
            yield from _read_json_lines(path, read_lines(path, wanted=_EXPECTED))
            return
        samples = _of_object(value if short else None, text)
    elif mark == "[":
        samples = text.items()
    else:
        value = text.value()
        text.end()
        raise PathPluginsError(f"{path} holds {shown(value)}; expected {_EXPECTED}")
    number, source = 0, str(path)
    for sample in samples:
        number += 1
        yield _row(source, number, sample)
    text.end()
    if not number:
        raise PathPluginsError(f"{path} holds no samples; expected {_EXPECTED}")


def _of_object(value: dict[str, Any] | None, text: JsonText) -> Iterator[Any]:
    """Yield the samples in an object, or the object itself if it is one sample.

    Args:
        value: The object; None if it is longer than a chunk and still to be read.
        text: The text, at the start of that object.
    """
    if value is None and text.holds_objects():
        for key, sample in text.members():
            yield {"id": key, **sample} if isinstance(sample, dict) else sample
        return
    if value is None:
        value = text.value()
    if all(isinstance(sample, dict) for sample in value.values()):
        yield from ({"id": key, **sample} for key, sample in value.items())
    else:
        yield value


def _read_json_lines(path: Path, lines: Iterable[str]) -> Iterator[Row | BadSample]:
    """Yield one sample a line, without blank lines; a file without a single line of JSON is an error."""
    readable, first_fault, source = False, "", str(path)
    pending: list[BadSample] = []  # kept until one line is readable
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            first_fault = first_fault or f"{path}:{number} is not JSON ({error})"
            bad = BadSample(source=source, row=number, reason="malformed row", detail=f"not JSON: {error}")
            if readable:
                yield bad
            else:
                pending.append(bad)
            continue
        readable = True
        yield from pending
        pending.clear()
        yield _row(source, number, value)
    if not readable:
        raise PathPluginsError(f"{first_fault or f'{path} is empty'}; expected one JSON object a line")


def _row(source: str, number: int, value: Any) -> Row | BadSample:
    if isinstance(value, dict):
        return Row(source, number, value)
    detail = f"{shown(value)} is no JSON object; expected one object per sample"
    return BadSample(source=source, row=number, reason="malformed row", detail=detail)
