"""Match the slides that records are about with those that have patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathplugins.core.spreadsheets import same_ids
from pathplugins.data.records import BadSample, Record

from ..splits.row_groups import slide_name


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Records, and the slides that each is about by the names of their patches."""

    records: list[tuple[Record, tuple[str, ...]]]
    bad: list[BadSample]
    note: str | None
    """Ids that were read as others."""


def match_slides(records: Sequence[Record], known: set[str], *, where: str) -> Matched:
    """Match the slides of records with those that have patches.

    Args:
        records: Their images are slides, by any name, path or suffix.
        known: Names of the slides with patches.
        where: The data set, for messages.
    """
    names = [tuple(slide_name(image) for image in record.images) for record in records]
    ids = same_ids((name for some in names for name in some), known, where=where)
    matched, bad = [], []
    for record, some in zip(records, names, strict=True):
        slides = tuple(ids.matched.get(name, name) for name in some)
        if lost := [name for name in slides if name not in known]:
            detail = f"{record.id}: no patches of the slide {', '.join(dict.fromkeys(lost))}; cut it (pathdata patch)"
            bad.append(BadSample(source=record.source, row=record.row, reason="no patches", detail=detail))
        else:
            matched.append((record, slides))
    return Matched(records=matched, bad=bad, note=ids.note())
