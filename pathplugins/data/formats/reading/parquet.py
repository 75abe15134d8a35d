"""Read Parquet files of the Hugging Face hub, whose rows contain their images."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.files import write_bytes_whole
from pathplugins.data.formats.reading.rows import BadRowError, Row, shown
from pathplugins.data.images import DAMAGE

_BATCH = 64  # rows in memory at once; an image is some 50 KB


def read_parquet(path: Path, columns: Collection[str]) -> Iterator[Row]:
    """Yield rows, numbered by position from 1; an image is ``{"bytes": ..., "path": ...}`` as the hub stores it.

    Raises:
        PathPluginsError: not a Parquet file, or one of the columns is missing.
        MissingDependencyError: without pyarrow.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(f"pyarrow is needed to read {path}: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise PathPluginsError(
                    f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}: "
                    "give a file with all of them"
                )
            number = 0
            for batch in file.iter_batches(_BATCH, columns=[*columns]):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(str(path), number, cells)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise PathPluginsError(f"{path} is not a readable Parquet file ({error}); download the file again") from error


def image_to_file(value: Any, *, folder: Path, prefix: str) -> str:
    """Write an image's bytes into ``folder``, unless the file exists; return the file's name.

    The name is ``prefix`` and a hash of the bytes: an image that many rows share is one file, and paths in the rows are
    not trusted.

    Raises:
        BadRowError: there are no bytes, or they are not an image.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes) or not data:
        raise BadRowError("no image", f"image is {shown(value)}; expected the bytes of an image file")
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind = (image.format or "").lower()
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise BadRowError("unreadable file", f"the image of this row is unreadable: {error}") from error
    name = f"{prefix}_{hashlib.sha256(data).hexdigest()[:16]}.{'jpg' if kind == 'jpeg' else kind}"
    target = folder / name
    if not target.is_file():
        write_bytes_whole(target, data)
    return name
