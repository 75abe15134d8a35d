"""OpenPath, which is published as ids of tweets: says what cannot be had from them, and what can be had instead."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.rows import read_lines


@reader
def read_open_path(path: str | Path, *, media_dir: str | Path | None = None) -> Stream:
    """Never gives a record.

    Args:
        path: The published table of tweet ids (``tw_id``, ``img_position``).
        media_dir: As other formats have it.

    Raises:
        PathPluginsError: always; what is there, what is not, and where captions of OpenPath are.
    """
    del media_dir
    lines = read_lines(Path(path), wanted="the table of OpenPath")
    columns = ", ".join(name.strip(' "\r\n') for name in next(lines, "").split(",")) or "nothing"
    rows = sum(1 for line in lines if line.strip())
    raise PathPluginsError(
        f"{path}: {rows} rows of {columns}. OpenPath is published as ids of tweets: neither its images nor its texts "
        "are in it, and they may not be passed on. What can be had: the part of OpenPath inside Quilt-1M, with images "
        "and captions, by `pathdata convert quilt-1m quilt_1M_lookup.csv --subset openpath`; and, if you have the "
        'images yourself, a list of {"image", "caption"} by `pathdata convert pallava-captions`'
    )
