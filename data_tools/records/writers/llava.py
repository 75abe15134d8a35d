"""Write LLaVA conversations, as LLaVA and XTuner read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.data.records import Record

from .target import SPACED_LINES, Target, by_suffix, messages


def llava_row(record: Record) -> dict[str, Any]:
    """Return a record as a LLaVA sample; ``image`` is a list if there are several, absent if there is none."""
    images = record.images
    image = {"image": images[0] if len(images) == 1 else [*images]} if images else {}
    return {"id": record.id, **image, "conversations": messages(record)}


def _rows(out: Path) -> Any:
    return llava_row


LLAVA = Target(rows=_rows, sink=by_suffix)
XTUNER = Target(rows=_rows, sink=lambda out: SPACED_LINES, suffix=".jsonl")
