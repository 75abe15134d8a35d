"""Predictions: answers on disk, one a line, from which a run that was killed continues.

One process appends to ``predictions.jsonl``; each of several to a file of its own, which is taken in when all have
ended or when the next run begins. ``settings.json`` says what answered which questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json, write_text_whole
from pathplugins.core.json_values import parse_json

NAME = "predictions.jsonl"
SETTINGS = "settings.json"

Line = dict[str, Any]


def begin(folder: Path, settings: Mapping[str, Any], order: Sequence[str]) -> dict[str, Line]:
    """Begin a folder of answers, or continue one that a run with the same settings began.

    Args:
        folder: made if need be.
        settings: everything that decides the answers.
        order: ids of all questions.

    Returns:
        id -> line, of the questions that are answered.

    Raises:
        PathPluginsError: the folder holds answers of other settings, or a line that is not JSON.
    """
    if folder.is_file():
        raise PathPluginsError(f"--out {folder} is a file; name a folder for the answers")
    there = folder / SETTINGS
    if there.is_file():
        before = read_json(there)
        changed = [f"{k} was {before.get(k)}, is {v}" for k, v in settings.items() if before.get(k) != v]
        if changed:
            raise PathPluginsError(
                f"{folder} holds answers of another run: {'; '.join(changed)}; restore these to continue it, or give "
                "another --out"
            )
    elif _files(folder):
        raise PathPluginsError(f"{folder} holds {NAME} but no {SETTINGS}; give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(there, dict(settings))
    return gather(folder, order)


def gather(folder: Path, order: Sequence[str]) -> dict[str, Line]:
    """Gather all answers into one file, in the order of the questions, and remove the files of the processes."""
    files = _files(folder)
    found = {line["id"]: line for file in files for line in read_rows(file)}
    lines = {name: found[name] for name in order if name in found}
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines.values())
    write_text_whole(folder / NAME, text)
    for file in files:
        if file.name != NAME:
            file.unlink()
    return lines


def read_lines(folder: Path) -> list[Line]:
    """Return the answers of a folder as they are on disk, in the order of the questions where a run has ended."""
    return [line for file in _files(folder) for line in read_rows(file)]


def append(folder: Path, lines: Iterable[Line], *, rank: int, world: int) -> None:
    """Append answers to the file of a process at once."""
    name = NAME if world == 1 else NAME.replace(".", f".{rank}.")
    with (folder / name).open("a", encoding="utf-8", newline="\n") as stream:
        for line in lines:
            stream.write(f"{json.dumps(line, ensure_ascii=False)}\n")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(NAME.replace(".", "*.")))


def read_rows(path: Path) -> list[Line]:
    """Read the lines of a file, without a last one that a killed process left unfinished.

    Raises:
        PathPluginsError: a line is no JSON object.
    """
    lines = []
    *whole, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(whole, start=1):
        try:
            lines.append(parse_json(line))
        except ValueError as error:
            raise PathPluginsError(f"{path}:{number} is not JSON ({error}); remove the line to ask it again") from error
        if not isinstance(lines[-1], dict):
            raise PathPluginsError(f"{path}:{number} is no JSON object; remove the line to ask it again")
    return lines
