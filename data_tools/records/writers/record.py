"""Write records with all their fields, one a line."""

from __future__ import annotations

from typing import Any

from pathplugins.data.records import Record

from .target import JSON_LINES, Target


def record_row(record: Record) -> dict[str, Any]:
    """Return a record as a dictionary of all its fields."""
    return {
        "id": record.id,
        "conversations": [{"role": role, "text": text} for role, text in record.conversations],
        "images": [*record.images],
        "meta": record.meta,
        "source": record.source,
        "row": record.row,
    }


RECORD = Target(rows=lambda out: record_row, sink=lambda out: JSON_LINES, suffix=".jsonl", numbered=True)
