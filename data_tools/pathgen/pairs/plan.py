"""The plan: an SQLite file of all pairs by slide, which worker processes read in parallel.

SQLite, because 1.6 million captions take half a gigabyte, which no process should hold, and the pairs of a slide are
needed together however the source mixes slides. The file is written under a temporary name, renamed and never changed
after that, so that readers need no locks (which shared file systems lack).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from pathplugins.core.disks import refusal
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.core.suffixes import slide_key
from pathplugins.data.formats.reading.json import SUFFIXES
from pathplugins.data.formats.reading.placed import Placed, read_placed
from pathplugins.data.records import BadSample

from ...records.report import BadRows

VERSION = 1  #: of the tables; a plan of another version is built again
CACHE_KIB = 128 * 1024  #: SQLite's cache while building: the index of 1.6 million pairs fits
BATCH = 20_000  #: rows handed to SQLite at once
TABLES = """
CREATE TABLE slides (
    number INTEGER PRIMARY KEY, wsi_id TEXT, file_id TEXT, digest TEXT, pairs INTEGER, repeats INTEGER);
CREATE TABLE pairs (slide INTEGER, x INTEGER, y INTEGER, text_hash INTEGER, caption TEXT, sample TEXT);
CREATE UNIQUE INDEX once ON pairs (slide, x, y, text_hash);
CREATE TABLE about (fingerprint TEXT, bad INTEGER);
"""


class Pair(NamedTuple):
    """One image-caption pair: the caption and the upper-left corner of its picture, level-0 pixels."""

    x: int
    y: int
    caption: str
    sample: dict[str, Any] | None
    """``id``, ``conversations`` and ``type`` of a row of PathGen-Instruct; None for other sources."""


@dataclass(frozen=True, kw_only=True)
class PlannedSlide:
    """One slide of the source, with the counts of its pairs."""

    number: int
    wsi_id: str
    """The id as the source first spells it."""
    file_id: str
    digest: str
    """Digest of the texts in their order."""
    pairs: int
    repeats: int
    """Exact duplicates."""

    @property
    def key(self) -> str:
        """The normalised name under which its file is looked up."""
        return slide_key(self.wsi_id)


class Plan:
    """An open plan; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file that ``build_plan`` wrote."""
        self._path = path
        with _faults_named(path):
            self._base = sqlite3.connect(_uri(path, "mode=ro&immutable=1"), uri=True, check_same_thread=False)
        try:
            ((self.fingerprint, self.bad),) = self._rows("SELECT fingerprint, bad FROM about LIMIT 1") or ((None, 0),)
        except PathPluginsError:
            self._base.close()
            raise

    def slides(self) -> list[PlannedSlide]:
        """Return all slides, in the order in which the source first names them."""
        columns = "number, wsi_id, file_id, digest, pairs, repeats"
        rows = self._rows(f"SELECT {columns} FROM slides ORDER BY number")
        return [PlannedSlide(**dict(zip(columns.split(", "), row, strict=True))) for row in rows]

    def pairs(self, number: int) -> list[Pair]:
        """Return the pairs of one slide, in the order of the source."""
        rows = self._rows("SELECT x, y, caption, sample FROM pairs WHERE slide = ? ORDER BY rowid", number)
        return [Pair(x, y, caption, json.loads(sample) if sample else None) for x, y, caption, sample in rows]

    def _rows(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with _faults_named(self._path):
            return self._base.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def fingerprint_of(source: Path, *, named: bool) -> str:
    """Return a hash of a plan's input: path, size and modification time of each file, and how they are read."""
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in SUFFIXES)
    stamps = [(str(path.resolve()), (s := path.stat()).st_size, s.st_mtime_ns) for path in files if path.exists()]
    return hashlib.sha256(json.dumps([VERSION, named, stamps]).encode()).hexdigest()[:16]


def build_plan(source: Path, path: Path, bad_rows: BadRows, *, named: bool, reserved: frozenset[str]) -> None:
    """Read the source once and write its plan; bad rows are left out and added to ``bad_rows``.

    Args:
        source: A file or folder for ``read_placed``.
        path: The plan to write.
        bad_rows: Collects the bad rows.
        named: Whether the image names in PathGen-Instruct must be those the pictures will be written under.
        reserved: Ids that no slide may have, because files of the output folder have these names.

    Raises:
        PathPluginsError: ``source`` cannot be read.
    """
    # taken before reading, so that a later change is noticed by the next run
    fingerprint = fingerprint_of(source, named=named)
    with replacing(path) as temporary, closing(sqlite3.connect(_uri(temporary, "nolock=1"), uri=True)) as base:
        base.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{CACHE_KIB}")
        base.executescript(TABLES)
        slides: dict[str, _Slide] = {}
        batch: list[tuple[Any, ...]] = []
        for placed in read_placed(source):
            fault = placed if isinstance(placed, BadSample) else _fault(placed, named=named, reserved=reserved)
            if fault is not None:
                bad_rows.add([fault])
                continue
            batch.append(_row(placed, slides))
            if len(batch) == BATCH:
                base.executemany("INSERT OR IGNORE INTO pairs VALUES (?, ?, ?, ?, ?, ?)", batch)
                batch.clear()
        base.executemany("INSERT OR IGNORE INTO pairs VALUES (?, ?, ?, ?, ?, ?)", batch)
        counts = dict(base.execute("SELECT slide, count(*) FROM pairs GROUP BY slide"))
        base.executemany("INSERT INTO slides VALUES (?, ?, ?, ?, ?, ?)", _slide_rows(slides, counts))
        base.execute("INSERT INTO about VALUES (?, ?)", (fingerprint, bad_rows.rows))
        base.commit()


@dataclass(kw_only=True)
class _Slide:
    """A slide while the source is being read."""

    number: int
    wsi_id: str
    file_id: str = ""
    rows: int = 0
    hash: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))


def _fault(placed: Placed, *, named: bool, reserved: frozenset[str]) -> BadSample | None:
    """Return why a well-formed row cannot be used here; None if it can."""
    if placed.wsi_id.casefold() in reserved or placed.wsi_id[0] == ".":
        detail = f"the slide is {placed.wsi_id!r}, a name that is taken in the output folder; rename the slide"
        return BadSample(source=placed.source, row=placed.row, reason="slide name", detail=detail)
    name = f"{placed.wsi_id}/{placed.x}_{placed.y}"
    if named and placed.sample is not None and placed.sample["image"].rpartition(".")[0] != name:
        detail = (
            f"image is {placed.sample['image']!r} but slide and position make {name}.jpg; correct one, or pass "
            "--naming flat, where the manifest gives the names"
        )
        return BadSample(source=placed.source, row=placed.row, reason="image name", detail=detail)
    return None


def _row(placed: Placed, slides: dict[str, _Slide]) -> tuple[Any, ...]:
    """Return the database row of a pair, and add it to its slide's counts."""
    key = slide_key(placed.wsi_id)
    slide = slides.get(key)
    if slide is None:
        slide = slides[key] = _Slide(number=len(slides), wsi_id=placed.wsi_id)
    slide.file_id = slide.file_id or placed.file_id
    slide.rows += 1
    text, sample = placed.caption, None
    if placed.sample is not None:
        kept = {name: value for name, value in placed.sample.items() if name != "image"}
        text, sample = json.dumps(placed.sample["conversations"]), json.dumps(kept, ensure_ascii=False)
    slide.hash.update(f"{placed.x} {placed.y} {text if sample is None else sample}\0".encode(errors="surrogatepass"))
    return slide.number, placed.x, placed.y, hash(text), placed.caption, sample


def _slide_rows(slides: dict[str, _Slide], counts: dict[int, int]) -> Iterator[tuple[Any, ...]]:
    for slide in slides.values():
        slide.hash.update(slide.file_id.encode())
        pairs = counts[slide.number]
        yield slide.number, slide.wsi_id, slide.file_id, slide.hash.hexdigest(), pairs, slide.rows - pairs


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    """Say what is wrong with a plan: only what is damaged, or no plan, is to be deleted."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        foreign = str(error).startswith("no such")  # table or column
        if isinstance(error, sqlite3.OperationalError) and not foreign:  # the disk, or another process
            said = refusal(error, path.parent) or f"{path}: {error}; run the same command again"
            raise PathPluginsError(said) from error
        raise PathPluginsError(f"{path} is damaged, or no file of pathdata ({error}); delete it") from error


def _uri(path: Path, option: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{option}"
