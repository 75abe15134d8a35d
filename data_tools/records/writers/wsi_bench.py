"""Write WSI-Bench: the training file of WSI-LLaVA or, as JSON lines, its test file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathplugins.data.records import Record

from .target import NotHeldError, Target, by_suffix, messages, no_system, only_image, only_question

_NAME = "WSI-Bench"


def train_row(record: Record) -> dict[str, Any]:
    """Return a record as a training sample: a conversation about one slide, or about none."""
    image = {"image": only_image(record, ".pt", _NAME)} if record.images else {}
    no_system(record, _NAME)
    return {"id": record.id, **image, "conversations": messages(record), **_kind(record)}


def test_row(record: Record) -> dict[str, Any]:
    """Return a record as a test sample: one question about one slide."""
    image = only_image(record, ".pt", _NAME)
    question, answer = only_question(record, f"the test file of {_NAME}")
    if not question.strip():
        raise NotHeldError("no question; the test file of WSI-Bench has one in every line")
    return {"question_id": record.id, "image": image, "question": question, "T-answer": answer, **_kind(record)}


def _kind(record: Record) -> dict[str, str]:
    return {"metadata": record.meta["metadata"]} if "metadata" in record.meta else {}


def _rows(out: Path) -> Callable[[Record], dict[str, Any]]:
    return test_row if out.suffix == ".jsonl" else train_row


WSI_BENCH = Target(rows=_rows, sink=by_suffix)
