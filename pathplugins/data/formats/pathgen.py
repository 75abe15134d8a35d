"""Image-caption pairs of PathGen: the manifest of extracted patches, or the published JSON with pictures cut before.

Captions become the answers to requests, drawn by seed; the conversations of PathGen-Instruct stay as they are, with
``<image>`` at the start or the end of the first question.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, folders_for, json_stream, reader
from pathplugins.data.formats.reading.captions import caption_draft
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.placed import Placed, Seen, read_placed
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, drafts, shown, text_of
from pathplugins.data.records import BadSample, Record

MANIFEST = "manifest.jsonl"
META = ("wsi_id", "x", "y", "mpp", "file_id", "type")  #: columns kept with a record, where a row has them

Naming = Literal["slide", "flat"]

logger = logging.getLogger(__name__)


@reader
def read_pathgen(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    naming: Naming = "slide",
    seed: int = 0,
    ids: str | Path | None = None,
    min_words: int = 0,
    requests: str | Path | None = None,
) -> Stream:
    """Read image-caption pairs, with the images of a manifest beside it.

    Args:
        path: ``manifest.jsonl`` of `pathdata pathgen extract` or its folder, ``captions.jsonl``, or the published JSON.
        media_dir: Where relative images are looked for first; then beside the file.
        naming: File names of the pictures of the published JSON: ``slide`` is ``<wsi_id>/<x>_<y>.jpg``, as in
            PathGen-Instruct, ``flat`` is ``<wsi_id>_<x>_<y>.png``, as the published code writes them.
        seed: Draws the requests and the places of ``<image>``.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table. Captions have the id
            ``<wsi_id>_<x>_<y>``.
        min_words: Shorter captions are left out.
        requests: List of requests to draw from, one a line or a JSON list; None draws from the built-in ones.
    """
    if naming not in get_args(Naming):
        raise PathPluginsError(f"naming is {naming!r}, expected {' or '.join(get_args(Naming))}")
    path = Path(path)
    if (path / MANIFEST).is_file():
        path /= MANIFEST
    filters = {"ids": ids, "min_words": min_words}
    if _is_published(path):
        return Stream(
            path=path,
            drafts=lambda: _published(path, naming, seed, requests),
            folders=folders_for(path, media_dir),
            **filters,
        )
    return json_stream(path, _pair_draft(seed, requests), media_dir=media_dir, beside=True, **filters)


def _is_published(path: Path) -> bool:
    """Return whether rows give the position of patches on slides, and not the files they were written to."""
    first = next((row for row in read_samples(path) if isinstance(row, Row)), None)
    return first is not None and "position" in first.cells


def _pair_draft(seed: int, requests: str | Path | None) -> Callable[[Row], Record]:
    """Return the function that makes a draft of a row of a manifest."""
    with_request = caption_draft(meta=META, seed=seed, requests=requests)

    def make(row: Row) -> Record:
        cells = row.cells
        image = text_of(cells, "image")
        if not image and "shard" in cells:
            detail = f"the patch is in the shard {cells['shard']}; extract again without --format webdataset"
            raise BadRowError("no image", detail)
        if not image:
            raise BadRowError("no image", f"image is {shown(cells.get('image'))}; expected the path of a patch")
        if "conversations" in cells:
            meta = {key: text for key in META if (text := text_of(cells, key))}
            return dataclasses.replace(llava_draft(row), meta=meta)
        if not text_of(cells, "caption"):
            raise BadRowError("no caption", "caption is absent or empty; `pathdata pathgen caption` writes captions")
        if text_of(cells, "id"):
            return with_request(row)
        place = [text_of(cells, key) for key in ("wsi_id", "x", "y")]
        name = "_".join(place) if all(place) else Path(image).with_suffix("").as_posix()
        return with_request(Row(row.source, row.number, {**cells, "id": name}))

    return make


def _published(path: Path, naming: Naming, seed: int, requests: str | Path | None) -> Iterator[Draft]:
    """Yield drafts of the rows of the published JSON, without exact repeats, which are counted in the log."""
    seen, with_request = Seen(), caption_draft(meta=META, seed=seed, requests=requests)

    def rows() -> Iterator[Row | BadSample]:
        for placed in read_placed(path):
            if isinstance(placed, BadSample):
                yield placed
            elif seen.add(placed):
                yield _as_pair(placed, naming)

    def make(row: Row) -> Record:
        if "conversations" not in row.cells:
            return with_request(row)
        meta = {key: text for key in META if (text := text_of(row.cells, key))}
        return dataclasses.replace(llava_draft(row), meta=meta)

    yield from drafts(rows(), make)
    if seen.repeats:
        logger.warning("%s: %d rows are exact repeats and left out", path, seen.repeats)


def _as_pair(placed: Placed, naming: Naming) -> Row:
    """Return the row that a manifest would have for a patch."""
    name = f"{placed.wsi_id}_{placed.x}_{placed.y}"
    image = f"{name}.png" if naming == "flat" else f"{placed.wsi_id}/{placed.x}_{placed.y}.jpg"
    cells = {"wsi_id": placed.wsi_id, "x": placed.x, "y": placed.y, "file_id": placed.file_id}
    if placed.sample is None:
        cells |= {"id": name, "image": image, "caption": placed.caption}
    else:
        cells |= {**placed.sample, "image": image if naming == "flat" else placed.sample["image"]}
    return Row(placed.source, placed.row, cells)
