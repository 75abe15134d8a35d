"""Converter: rows that our readers have written in LLaMA-Factory's columns, handed on as they are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pathplugins.data.formats.preferences import MARK, REJECTED
from pathplugins.data.records import Record

MEDIA = ("images", "videos", "audios")


def columns(record: Record, *, preference: bool = False) -> dict[str, Any]:
    """Return one record as a row: the last turn is the response, an image reference stays a path.

    With ``preference`` the response is two turns, as LLaMA-Factory has them: the chosen and the rejected answer, or a
    good answer before an empty one, or a bad one behind it.

    The media stand there twice. ``datasets`` takes the type of a new column from its first thousand rows unless an old
    one has its name: where those are text, the images behind them would not fit. So LLaMA-Factory finds the columns it
    makes, of rows and of tokenized samples, with their types.
    """
    turns = [{"role": role, "content": text} for role, text in record.conversations]
    system = turns.pop(0)["content"] if turns[0]["role"] == "system" else ""
    media = {"images": list(record.images) or None, "videos": None, "audios": None}
    response = _both(turns[-1], record.meta) if preference else turns[-1:]
    row = {"_prompt": turns[:-1], "_response": response, "_system": system, "_tools": ""}
    return {**row, **{f"_{name}": files for name, files in media.items()}, **media}


def _both(answer: dict[str, Any], meta: dict[str, str]) -> list[dict[str, Any]]:
    other = {**answer, "content": meta.get(REJECTED, "")}
    return [other, answer] if meta.get(MARK) == "false" else [answer, other]


def schema() -> Any:
    """Return the pyarrow schema of the rows."""
    import pyarrow

    text = pyarrow.string()
    turns = pyarrow.list_(pyarrow.struct([("role", text), ("content", text)]))
    media = [(f"{mark}{name}", pyarrow.list_(text)) for mark in ("_", "") for name in MEDIA]
    return pyarrow.schema([("_prompt", turns), ("_response", turns), ("_system", text), ("_tools", text), *media])


def record_converter(module: ModuleType) -> type:
    """Return the class that converts a row to LLaMA-Factory's columns, made on its base class."""

    class RecordConverter(module.DatasetConverter):
        """The row is one already."""

        def __call__(self, example: dict[str, Any]) -> dict[str, Any]:
            return {**example}  # its own type would say that nothing is new

    return RecordConverter
