"""Write samples about slides as samples about their pictures, in the format that LLaMA-Factory reads without us."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pathplugins.core.files import replacing
from pathplugins.data.records import BadSample, Record

from ..records.report import BadRows
from ..records.writers import WRITERS
from .wording import Pictures, Positions, with_pictures


@dataclass(frozen=True, kw_only=True)
class Written:
    """The outcome of `write_samples`."""

    written: int
    bad: int
    most: int
    """Pictures of the sample with most of them."""
    report: str


def write_samples(
    samples: Sequence[tuple[Record, tuple[str, ...]]],
    bad: Sequence[BadSample],
    pictures: Callable[[str], Pictures | str],
    out: Path,
    *,
    positions: Positions,
    on_bad: Literal["error", "skip"],
    overwrite: bool,
) -> Written:
    """Write the samples, their entry in ``dataset_info.json`` and the list of bad rows; all or nothing.

    Args:
        samples: Records, each with the names of its slides.
        bad: Faults of other rows.
        pictures: Returns the pictures of a slide, or why it has none.
        out: ``.json`` or ``.jsonl``.
        positions: What the text says of places.
        on_bad: ``error`` writes nothing if a row is bad.
        overwrite: Replace an entry of ``dataset_info.json`` that says something else.
    """
    target = WRITERS.get("sharegpt")
    register, make, sink = target.beside(out, overwrite), target.rows(out), target.sink(out)
    rows, most = [], 0
    with BadRows(out.with_name(f"{out.name}.bad.jsonl")) as bad_rows:
        for fault in bad:
            bad_rows.add([fault])
        for record, slides in samples:
            found = [pictures(slide) for slide in slides]
            if failed := [why for why in found if isinstance(why, str)]:
                fault = BadSample(source=record.source, row=record.row, reason="slide failed", detail=failed[0])
                bad_rows.add([fault])
                continue
            record = with_pictures(record, [one for one in found if not isinstance(one, str)], positions)
            most = max(most, len(record.images))
            rows.append(make(record))
        written = 0 if bad_rows.bad and on_bad == "error" else len(rows)
        report = bad_rows.text(len(rows))
        if written:
            with replacing(out) as temporary:
                temporary.write_bytes(sink.start + sink.encode(rows) + sink.end)
    if written:
        register()
    return Written(written=written, bad=bad_rows.bad, most=most, report=report)
