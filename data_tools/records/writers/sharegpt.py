"""LLaMA-Factory's conversations, and their entry in the ``dataset_info.json`` beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.records import Record

from .target import Target, by_suffix, messages

INFO = "dataset_info.json"


def sharegpt_row(record: Record) -> dict[str, Any]:
    """With LLaMA-Factory's own names for roles and texts, which need no tags; ``images`` is there in every row."""
    return {"id": record.id, "conversations": messages(record), "images": [*record.images]}


def entry_of(out: Path) -> dict[str, Any]:
    """What ``dataset_info.json`` says about a file."""
    return {
        "file_name": out.name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "images"},
    }


def _beside(out: Path, overwrite: bool) -> Callable[[], None]:
    """Refuse to change an entry that says something else, unless asked to; the other entries stay."""
    info, name, entry = out.with_name(INFO), out.stem, entry_of(out)
    if out.name == INFO:
        raise PathPluginsError(f"--out {out} is where the entries of data sets are; choose another name")
    there = _read(info)
    if not overwrite and there.get(name, entry) != entry:
        raise PathPluginsError(
            f"{info} has another entry {name!r}: {json.dumps(there[name])}; pass --overwrite to replace it, or choose "
            "another name for --out"
        )

    def write() -> None:
        entries = {**_read(info), name: entry}
        with replacing(info) as temporary:
            temporary.write_text(f"{json.dumps(entries, indent=2, ensure_ascii=False)}\n", encoding="utf-8")

    return write


def _read(info: Path) -> dict[str, Any]:
    if not info.exists():
        return {}
    try:
        entries = json.loads(info.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PathPluginsError(f"{info} is not JSON ({error}); correct it, or write into another folder") from error
    if not isinstance(entries, dict):
        raise PathPluginsError(f"{info} is no JSON object; expected one entry for each data set")
    return entries


SHAREGPT = Target(rows=lambda out: sharegpt_row, sink=by_suffix, beside=_beside)
