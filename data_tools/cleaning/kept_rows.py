"""Write some rows of a file of pairs again, as they stand in it: the format is preserved, nothing is rewritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import remove_abandoned, replacing

from ..splits.row_files import RawRow, open_rows


def out_file(source: Path, out: Path, *, overwrite: bool) -> Path:
    """Return the file to write: ``out``, or the name of the source in it where it is a folder or has no suffix.

    Raises:
        PathPluginsError: it is the source, has another suffix, or exists.
    """
    if out.is_dir() or not out.suffix:
        out = out / source.name
    if out.suffix != source.suffix:
        raise PathPluginsError(f"--out {out}: the rows stay as they are; choose a name that ends in {source.suffix}")
    if out.exists() and source.exists() and out.samefile(source):
        raise PathPluginsError(f"--out {out} is the source itself; choose another name")
    if out.exists() and not overwrite:
        raise PathPluginsError(f"--out {out} exists; pass --overwrite to replace it, or choose another name")
    return out


def write_rows(source: Path, kept: np.ndarray, out: Path) -> int:
    """Write the rows whose numbers stand in ``kept`` (int64, ascending); return how many there were.

    Raises:
        PathPluginsError: a row is not there, so that these numbers are of another file; nothing is written.
    """
    file = open_rows(source)
    wanted = frozenset(kept.tolist())
    count = 0
    remove_abandoned(out)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(file.head)
        for row in file.rows():
            if isinstance(row, RawRow) and row.number in wanted:
                stream.write(file.between * bool(count) + row.text)
                count += 1
        stream.write(file.tail)
        if count != len(wanted):
            raise PathPluginsError(
                f"{source} holds {count} of the {len(wanted)} rows to keep: it is not the file that was scored, or has "
                "changed since; score it again"
            )
    return count
