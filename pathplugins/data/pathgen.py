"""Texts with a place on a slide: the rows of PathGen-1.6M and of PathGen-Instruct.

A place is (x, y), the upper-left corner of a patch in level-0 pixels. Source: github.com/PathFoundation/PathGen-1.6M,
whose files say ``wsi_id`` and whose code says ``WSI_id``, with positions as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data.formats.llava import llava_draft
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import BadRowError, Row, shown, text_of
from pathplugins.data.records import BadSample, check_record

SLIDE_NAMES = ("wsi_id", "WSI_id")  #: spellings of the key
FARTHEST_PX0 = 2**31 - 1  #: no slide is wider
_DIGITS = len(str(FARTHEST_PX0))


class Placed(NamedTuple):
    """A text that belongs to a place on a slide."""

    wsi_id: str
    """As written, e.g. ``TCGA-55-8621-01Z-00-DX1.<UUID>``: never cut at a dot."""
    x: int
    """Level-0 pixels of the upper-left corner."""
    y: int
    file_id: str
    """UUID of the slide's file at the GDC, or ``""``."""
    caption: str
    """``""`` for rows of PathGen-Instruct."""
    sample: dict[str, Any] | None
    """Of a row of PathGen-Instruct: ``id``, ``image``, ``conversations`` and ``type``, those that it has."""
    source: str
    """The file."""
    row: int
    """The line of JSON lines, else the position in the list, from 1."""


def read_placed(path: Path) -> Iterator[Placed | BadSample]:
    """The rows of a JSON list, JSON lines, or a folder of such files, in order and as they are asked for.

    Rows with conversations are those of PathGen-Instruct, the others have captions. A row that lacks something, has
    an empty caption or a position that is no pixel is a ``BadSample``.

    Raises:
        PathPluginsError: no such file, or not JSON of these shapes.
    """
    known: dict[str, str] = {}  # ids that are file names; a slide's rows share one text
    for row in read_samples(path):
        if row.__class__ is BadSample:
            yield row  # type: ignore[misc]
            continue
        try:
            yield _placed(row, known)  # type: ignore[arg-type]
        except BadRowError as error:
            yield BadSample(source=row.source, row=row.number, reason=error.reason, detail=str(error))  # type: ignore[union-attr]


def slide_key(wsi_id: str) -> str:
    """What two spellings of one slide share: case folded, the suffix of a slide file dropped if there is one."""
    key = wsi_id.casefold()
    return key.rpartition(".")[0] if key.endswith(SLIDE_SUFFIXES) else key


class Seen:
    """Tells exact repeats: the same slide, position and text, whatever the spelling of the id.

    Remembers 64 bits of hash a row, some 100 bytes: among 1.6 million rows, the chance that one is taken for another
    is below one in ten million.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self.repeats = 0
        """Rows that had gone by before."""

    def add(self, placed: Placed) -> bool:
        """Note a row; False if it has gone by before."""
        sample = placed.sample
        text = placed.caption if sample is None else json.dumps(sample["conversations"])
        number, hashes = hash((slide_key(placed.wsi_id), placed.x, placed.y, text)), self._hashes
        if number in hashes:
            self.repeats += 1
            return False
        hashes.add(number)
        return True


def _placed(row: Row, known: dict[str, str]) -> Placed:
    cells = row.cells
    name = cells.get("wsi_id") or cells.get("WSI_id")
    wsi_id = known.get(name) if name.__class__ is str else None
    if wsi_id is None:
        wsi_id = _slide(cells)
        known[wsi_id] = wsi_id
    x, y = _position(cells.get("position"))
    file_id = text_of(cells, "file_id")
    file_id = known.setdefault(file_id, file_id)
    if "conversations" in cells:
        return Placed(wsi_id, x, y, file_id, "", _sample(row, f"{wsi_id}/{x}_{y}.jpg"), row.source, row.number)
    caption = text_of(cells, "caption")
    if not caption:
        raise BadRowError("empty caption", f"caption is {shown(cells.get('caption'))}; expected text, or conversations")
    return Placed(wsi_id, x, y, file_id, caption, None, row.source, row.number)


def _slide(cells: dict[str, Any]) -> str:
    """The id, which becomes part of file names."""
    name = next((text for key in SLIDE_NAMES if (text := text_of(cells, key))), "")
    if not name:
        keys = ", ".join(cells) or "none"
        raise BadRowError("no slide", f"no {' or '.join(SLIDE_NAMES)}; the row has the keys {keys}")
    if "/" in name or "\\" in name or name in (".", "..") or not name.isprintable():
        raise BadRowError("no slide", f"the slide is {shown(name)}; expected a file name, without folders")
    return name


def _position(value: Any) -> tuple[int, int]:
    """(x, y)."""
    if not isinstance(value, list) or len(value) != 2:
        raise BadRowError("no position", f"position is {shown(value)}; expected [x, y]")
    x, y = value
    quick = x.__class__ is y.__class__ is str and len(x) < _DIGITS and len(y) < _DIGITS  # nearly all of them
    if quick and x.isdecimal() and y.isdecimal() and x.isascii() and y.isascii():
        return int(x), int(y)
    return _pixel(x, value), _pixel(y, value)


def _pixel(number: Any, position: list[Any]) -> int:
    """A whole number at or above 0, also as ``"35136.0"``."""
    at = -1.0
    if isinstance(number, str | int | float) and not isinstance(number, bool) and "_" not in str(number):
        try:
            at = float(number)
        except (ValueError, OverflowError):
            at = -1.0
    if not (0 <= at <= FARTHEST_PX0 and at == int(at)):
        raise BadRowError(
            "bad position", f"position is {shown(position)}; expected two whole numbers of level-0 pixels, 0 or more"
        )
    return int(at)


def _sample(row: Row, image: str) -> dict[str, Any]:
    """The row of PathGen-Instruct, without what a place says; its picture gets the published name if it has none."""
    cells = {key: row.cells[key] for key in ("id", "image", "conversations", "type") if key in row.cells}
    if not cells.get("image"):
        cells["image"] = image
    if fault := check_record(llava_draft(Row(row.source, row.number, cells))):
        raise BadRowError(fault.reason, fault.detail)
    return cells
