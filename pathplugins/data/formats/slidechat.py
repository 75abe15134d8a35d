"""SlideChat's training file: LLaVA conversations whose image is a list with the CSV file of a slide's features."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.rows import BadRowError, Row, shown
from pathplugins.data.records import Record

SUFFIXES = (".csv", ".h5", ".hdf5")
"""Of features: SlideChat's own, and of bags. For any other SlideChat shows the slide of the sample before."""


@reader
def read_slidechat(path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None) -> Stream:
    """Read conversations about one slide each; ``<image>`` keeps its place in the text.

    Args:
        path: ``{"id", "image": ["....csv"], "conversations"}``, as a JSON list or JSON lines.
        media_dir: Where relative features are looked for first; then beside the file. SlideChat itself takes the paths
            as written.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    return json_stream(path, _draft, media_dir=media_dir, ids=ids)


def _draft(row: Row) -> Record:
    record = llava_draft(row)
    if len(record.images) != 1:
        raise BadRowError("no image", f"image is {shown(row.cells.get('image'))}; expected a list of one path")
    if not record.images[0].lower().endswith(SUFFIXES):
        wanted = ", ".join(SUFFIXES)
        raise BadRowError("unknown suffix", f"{record.images[0]} ends in none of {wanted}; name the slide's features")
    return record
