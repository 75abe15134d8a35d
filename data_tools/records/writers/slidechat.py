"""Write SlideChat's training file."""

from __future__ import annotations

from typing import Any

from pathplugins.data.records import Record

from .target import Target, by_suffix, messages, no_system, only_image


def slidechat_row(record: Record) -> dict[str, Any]:
    """Return a record as a SlideChat sample.

    The image is a list with one CSV file: for any other file SlideChat silently reuses that of the sample before.
    """
    image = only_image(record, ".csv", "SlideChat")
    no_system(record, "SlideChat")
    return {"id": record.id, "image": [image], "conversations": messages(record)}


SLIDECHAT = Target(rows=lambda out: slidechat_row, sink=by_suffix)
