"""The lookup table of Quilt-1M: ``quilt_1M_lookup.csv``, one image and one caption per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.captions import caption_draft
from pathplugins.data.formats.reading.rows import Draft, Row, drafts, none_kept, same
from pathplugins.data.formats.reading.tables import read_table, require_columns
from pathplugins.data.records import Record

COLUMNS = ("caption", "image_path")


@reader
def read_quilt_1m(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    subset: str | None = None,
    split: str | None = None,
    seed: int = 0,
    ids: str | Path | None = None,
    min_words: int = 0,
    requests: str | Path | None = None,
) -> Stream:
    """Read captions; an image with several captions is several samples.

    Args:
        path: The table; columns other than ``caption``, ``image_path``, ``subset``, ``split`` and ``magnification`` are
            ignored, lists in cells stay text.
        media_dir: Where the images were unpacked; then beside the table.
        subset: Rows kept (``quilt``, ``openpath``, ...), compared without case; None keeps all.
        split: Rows kept (``train``, ``val``), compared without case; None keeps all.
        seed: Draws the request and the place of ``<image>``.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        min_words: Shorter captions are left out.
        requests: List of requests to draw from, one a line or a JSON list; None draws from the built-in ones.
    """
    path = Path(path)
    filters = {name: value for name, value in (("subset", subset), ("split", split)) if value is not None}
    make = caption_draft(image="image_path", meta=("subset", "split", "magnification"), seed=seed, requests=requests)

    def found() -> Iterator[Draft]:
        left_out: dict[str, Counter[str]] = {name: Counter() for name in filters}
        kept = 0

        def wanted(row: Row) -> Record | None:
            nonlocal kept
            for name, value in filters.items():
                if not same(row.cells[name], value):
                    left_out[name][row.cells[name]] += 1
                    return None
            kept += 1
            return make(row)

        rows = read_table(
            path,
            wanted="the lookup table of Quilt-1M",
            columns=(*COLUMNS, "subset", "split"),
            check_header=require_columns(path, (*COLUMNS, *filters)),
        )
        yield from drafts(rows, wanted)
        if not kept and any(left_out.values()):
            name = next(name for name in reversed(filters) if left_out[name])
            raise none_kept(path, name, filters[name], left_out[name], f"ask for another {name}")

    return Stream(path=path, drafts=found, folders=folders_for(path, media_dir), ids=ids, min_words=min_words)
