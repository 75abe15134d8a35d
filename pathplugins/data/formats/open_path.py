"""OpenPath, published as ids of tweets: refuse it, and name where its captions can be read from instead."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.rows import read_lines


@reader
def read_open_path(path: str | Path, *, media_dir: str | Path | None = None) -> Stream:
    """Refuse the table of tweet ids, which holds neither images nor captions.

    Args:
        path: The published table of tweet ids (``tw_id``, ``img_position``).
        media_dir: Ignored; every reader has it.

    Raises:
        PathPluginsError: always; names the contents of the table, and where captions of OpenPath can be found.
    """
    del media_dir
    lines = read_lines(Path(path), wanted="the table of OpenPath")
    columns = ", ".join(name.strip(' "\r\n') for name in next(lines, "").split(",")) or "nothing"
    rows = sum(1 for line in lines if line.strip())
    raise PathPluginsError(
        f"{path}: {rows} rows of {columns}. OpenPath is published as ids of tweets: the table "
        "holds neither images nor texts, which may not be redistributed. Read instead the part of OpenPath inside "
        "Quilt-1M, with images and captions, by `pathdata convert quilt-1m quilt_1M_lookup.csv --subset openpath`; or, "
        'if you have the images yourself, a list of {"image", "caption"} by `pathdata convert pallava-captions`'
    )
