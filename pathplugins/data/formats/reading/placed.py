"""Read texts that belong to a patch of a slide: the rows of PathGen-1.6M and of PathGen-Instruct.

The position is (x, y), the upper-left corner of the patch in level-0 pixels. Source:
github.com/PathFoundation/PathGen-1.6M, whose files say ``wsi_id`` and whose code says ``WSI_id``, with positions as
text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.suffixes import slide_key
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import BadRowError, Row, shown, text_of
from pathplugins.data.records import BadSample, check_record

SLIDE_NAMES = ("wsi_id", "WSI_id")  #: spellings of the key
FARTHEST_PX0 = 2**31 - 1  #: no slide is wider
_DIGITS = len(str(FARTHEST_PX0))


class Placed(NamedTuple):
    """A text that belongs to a patch of a slide."""

    wsi_id: str
    """Id as written, e.g. ``TCGA-55-8621-01Z-00-DX1.<UUID>``: never cut at a dot."""
    x: int
    """Level-0 pixels of the upper-left corner."""
    y: int
    file_id: str
    """UUID of the slide's file at the GDC, or ``""``."""
    caption: str
    """``""`` for rows of PathGen-Instruct."""
    sample: dict[str, Any] | None
    """``id``, ``image``, ``conversations`` and ``type`` of a row of PathGen-Instruct, those it has; otherwise None."""
    source: str
    """The file."""
    row: int
    """The line in JSON lines, otherwise the position in the list, from 1."""


def read_placed(path: Path) -> Iterator[Placed | BadSample]:
    """Yield the rows of a JSON list, JSON lines, or a folder of such files, in order.

    Rows with conversations are those of PathGen-Instruct, the others have captions. A row without a slide, a position
    in whole pixels or a text is a ``BadSample``.

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


class Seen:
    """Detects exact repeats: the same slide, position and text, in any spelling of the id.

    Keeps a hash of 64 bits per row, about 100 bytes of memory: among 1.6 million rows, the chance that two different
    ones are taken for the same is below one in ten million.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self.repeats = 0
        """Number of repeats."""

    def add(self, placed: Placed) -> bool:
        """Add a row; return False if it is a repeat."""
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
    """Return the slide id, which becomes part of file names."""
    name = next((text for key in SLIDE_NAMES if (text := text_of(cells, key))), "")
    if not name:
        keys = ", ".join(cells) or "none"
        raise BadRowError("no slide", f"no {' or '.join(SLIDE_NAMES)}; the row has the keys {keys}")
    if "/" in name or "\\" in name or name in (".", "..") or not name.isprintable():
        raise BadRowError("no slide", f"the slide is {shown(name)}; expected a file name, without folders")
    return name


def _position(value: Any) -> tuple[int, int]:
    """Return (x, y), level-0 pixels."""
    if not isinstance(value, list) or len(value) != 2:
        raise BadRowError("no position", f"position is {shown(value)}; expected [x, y]")
    x, y = value
    quick = x.__class__ is y.__class__ is str and len(x) < _DIGITS and len(y) < _DIGITS  # nearly all of them
    if quick and x.isdecimal() and y.isdecimal() and x.isascii() and y.isascii():
        return int(x), int(y)
    return _pixel(x, value), _pixel(y, value)


def _pixel(number: Any, position: list[Any]) -> int:
    """Return a coordinate as a whole number from 0; ``"35136.0"`` is accepted."""
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
    """Return a row of PathGen-Instruct without slide and position; without an image it gets the published name."""
    cells = {key: row.cells[key] for key in ("id", "image", "conversations", "type") if key in row.cells}
    if not cells.get("image"):
        cells["image"] = image
    if fault := check_record(llava_draft(Row(row.source, row.number, cells))):
        raise BadRowError(fault.reason, fault.detail)
    return cells
