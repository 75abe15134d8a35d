"""Write LLaMA-Factory's conversations, and their entry in the ``dataset_info.json`` beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.core.json_values import parse_json
from pathplugins.data.records import Record

from .target import Target, by_suffix, messages

INFO = "dataset_info.json"


def sharegpt_row(record: Record) -> dict[str, Any]:
    """Return a record with LLaMA-Factory's default names, which need no ``tags``; every row has ``images``."""
    return {"id": record.id, "conversations": messages(record), "images": [*record.images]}


def entry_of(out: Path) -> dict[str, Any]:
    """Return the entry of a file in ``dataset_info.json``."""
    return {
        "file_name": out.name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "images"},
    }


def _beside(out: Path, overwrite: bool) -> Callable[[], None]:
    """Return the function that writes the entry, leaving the others as they are.

    Raises:
        PathPluginsError: the file has another entry of this name, and ``overwrite`` is not set.
    """
    info, name, entry = out.with_name(INFO), out.stem, entry_of(out)
    if out.name == INFO:
        raise PathPluginsError(f"--out {out} is the name of the list of data sets; choose another name")
    entries = _read(info)
    if not overwrite and entries.get(name, entry) != entry:
        raise PathPluginsError(
            f"{info} has another entry {name!r}: {json.dumps(entries[name])}; pass --overwrite to replace it, or "
            "choose another name for --out"
        )

    def write() -> None:
        entries = {**_read(info), name: entry}
        write_text_whole(info, f"{json.dumps(entries, indent=2, ensure_ascii=False)}\n")

    return write


def _read(info: Path) -> dict[str, Any]:
    if not info.exists():
        return {}
    try:
        entries = parse_json(info.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PathPluginsError(f"{info} is not JSON ({error}); correct it, or write into another folder") from error
    if not isinstance(entries, dict):
        raise PathPluginsError(
            f"{info} is not a JSON object, data set -> entry; correct it, or write into another folder"
        )
    return entries


SHAREGPT = Target(rows=lambda out: sharegpt_row, sink=by_suffix, beside=_beside)
