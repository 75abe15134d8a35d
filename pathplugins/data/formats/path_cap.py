"""PathCap, and the JSON files of PathGen_init: images and captions under undocumented field names.

Source: huggingface.co/datasets/jamessyx/PathCap and jamessyx/PathGen_init, whose pages show no fields.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.captions import caption_draft
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.json import SUFFIXES, read_samples
from pathplugins.data.formats.reading.rows import Draft, Row, drafts
from pathplugins.data.formats.reading.tables import read_table
from pathplugins.data.records import BadSample

IMAGES = ("image", "image_path", "img_path", "image_name", "img_name", "file_name", "filename", "image_file", "img")
CAPTIONS = ("caption", "text", "caption_text", "description")
"""Likely field names; the first one that the first sample has is used, whatever its case."""

logger = logging.getLogger(__name__)


@reader
def read_path_cap(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    seed: int = 0,
    ids: str | Path | None = None,
    min_words: int = 0,
    requests: str | Path | None = None,
) -> Stream:
    """Read captions, or conversations as LLaVA writes them; the log names the fields that were used.

    Args:
        path: JSON, JSON lines, a folder of them, or a table (``.csv``, ``.tsv``).
        media_dir: Where the images were unpacked; then beside the file.
        seed: Draws the requests and the places of ``<image>``.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        min_words: Shorter captions are left out.
        requests: List of requests to draw from, one a line or a JSON list; None draws from the built-in ones.
    """
    path = Path(path)
    return Stream(
        path=path,
        drafts=lambda: _drafts(path, seed, requests),
        folders=folders_for(path, media_dir),
        ids=ids,
        min_words=min_words,
    )


def _drafts(path: Path, seed: int, requests: str | Path | None) -> Iterator[Draft]:
    rows = _rows(path)
    first: Row | BadSample | None = None
    for first in rows:
        if isinstance(first, Row):
            break
        yield first
    if not isinstance(first, Row):
        return
    if "conversations" in first.cells:
        make = llava_draft
    else:
        image, caption = _taken(first.cells, IMAGES, "images", path), _taken(first.cells, CAPTIONS, "captions", path)
        logger.warning("%s: taking %r for the images and %r for the captions", path, image, caption)
        make = caption_draft(image=image, caption=caption, seed=seed, requests=requests)

    def every() -> Iterator[Row | BadSample]:
        yield first
        yield from rows

    yield from drafts(every(), make)


def _rows(path: Path) -> Iterator[Row | BadSample]:
    if path.is_dir() or path.suffix in SUFFIXES:
        return read_samples(path)
    wanted = "a JSON file or a table with images and captions"
    return read_table(path, wanted=wanted, columns=(*IMAGES, *CAPTIONS), check_header=lambda names: None)


def _taken(names: Collection[str], likely: Collection[str], content: str, path: Path) -> str:
    found = {name.casefold(): name for name in names}
    for name in likely:
        if name in found:
            return found[name]
    raise PathPluginsError(
        f"{path}: no field for {content}; the first sample has {', '.join(names)}, expected one of "
        f"{', '.join(likely)}; rename the field"
    )
