"""Turn drafts into records: filter them, make ids unique, resolve image paths and check each record.

A draft is a record whose id and images are still as the file writes them. Records are made one by one, so that a
source may be larger than memory; the lists that trainers take come from the same stream.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.data.formats.reading.ids import Listed
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, Unwanted, drafts
from pathplugins.data.formats.reading.unique import IdBook, IdsRepeat
from pathplugins.data.records import BadSample, Record, check_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Records of a source with unique ids, and the bad samples of its other rows, in the order of the rows.

    Iterating may raise ``IdsRepeat``: the records of that pass have to be discarded, and a second pass is right. A
    repeated id gets ``#`` and its row (``#file:row`` where a folder was read), whichever rows are kept.
    """

    path: Path
    """The source, for messages."""
    drafts: Callable[[], Iterator[Draft]]
    """Reads the source, each time from its start."""
    folders: Sequence[Path] = ()
    """Absolute folders in which relative images are looked up, see ``Places``; with none, paths stay as written."""
    look: bool = False
    """Report an image that is in none of the folders here; otherwise the later check of the images does."""
    beside: bool = False
    """The images belong to the file: its relative paths start at its folder, even if no folder of images is given."""
    suffix: str | None = None
    """Replaces the last suffix of every image before it is looked up."""
    flat: bool = False
    """Look up every image by the name of its file alone, without the folders before it."""
    ids: str | Path | None = None
    """Index file of the samples to keep (``reading.ids``); other rows are not checked."""
    min_words: int = 0
    """Samples with fewer words in the answer are left out and counted in the log."""
    ids_are_final: bool = False
    """Keep ids as written; rows with a repeated id are bad."""
    make: Callable[[Row], Record | None] | None = None
    """Makes a draft of one JSON sample independently of the others, as ``drafts`` does; None for other sources."""
    book: IdBook = field(default_factory=IdBook, init=False, repr=False, compare=False)
    """The ids read so far."""

    def __iter__(self) -> Iterator[Record | BadSample]:
        """Read the source once; see the class."""
        book, counted = self.book, self.book.complete
        listed = None if self.ids is None else Listed(Path(self.ids), source=self.path)
        words, finish = _Words(self.min_words, self.path) if self.min_words else None, self._finisher()
        items = self.drafts()
        for item in items:
            if isinstance(item, BadSample):
                yield item
                continue
            if not counted and not book.add(item.id, _source_of(item)):
                for rest in items:
                    if not isinstance(rest, BadSample):
                        book.add(rest.id, _source_of(rest))
                book.close()
                raise IdsRepeat
            if isinstance(item, Unwanted) or (listed is not None and item not in listed):
                continue
            if words is None or item in words:
                yield finish(item)
        if not counted and not book.close():
            raise IdsRepeat
        for filter_ in (listed, words):
            if filter_ is not None:
                filter_.finish()

    def lists(self) -> tuple[list[Record], list[BadSample]]:
        """Return the records, and the bad rows in order of file and row; the source is read once."""
        found = [*self.drafts()]
        stream = replace(self, drafts=lambda: iter(found))
        while True:
            good: list[Record] = []
            bad: list[BadSample] = []
            try:
                for item in stream:
                    good.append(item) if isinstance(item, Record) else bad.append(item)
            except IdsRepeat:
                continue
            return good, sorted(bad, key=lambda sample: (sample.source, sample.row or 0))

    def _finisher(self) -> Callable[[Record], Record | BadSample]:
        """Return the function that makes a record of a draft."""
        locate = self._locator()
        unique, repeats, final_ids = self.book.unique, self.book.repeats, self.ids_are_final

        def finish(draft: Record) -> Record | BadSample:
            name, images = draft.id, draft.images
            if not final_ids:
                name = unique(name, draft.source, draft.row)
            elif repeats(name):
                detail = f"the id {name!r} stands in more than one row; expected each once"
                return BadSample(source=draft.source, row=draft.row, reason="repeated id", detail=detail)
            if locate is not None and images:
                try:
                    images = tuple(map(locate, images))
                except BadRowError as error:
                    return BadSample(source=draft.source, row=draft.row, reason=error.reason, detail=str(error))
            if name is not draft.id or images is not draft.images:
                draft = replace(draft, id=name, images=images)
            return check_record(draft) or draft

        return finish

    def _locator(self) -> Callable[[str], str] | None:
        suffix, flat = self.suffix, self.flat
        find: Callable[[str], str] | None = None
        if self.folders:
            find = functools.lru_cache(2**16)(self._look_for) if self.look else Places(self.folders).locate
        if suffix is None and not flat:
            return find

        def renamed(image: str) -> str:
            if flat:
                image = image.rpartition("/")[2]
            if suffix is not None:
                image = os.path.splitext(image)[0] + suffix  # noqa: PTH122 - keeps "./" and "//" as they are written
            return find(image) if find else image

        return renamed

    def _look_for(self, image: str) -> str:
        """Return the absolute path of an existing file.

        Raises:
            BadRowError: the file is in none of the folders.
        """
        places = list(dict.fromkeys(folder / image for folder in self.folders))
        found = next((place for place in places if is_file(place)), None)
        if found is None:
            tried = " or ".join(dict.fromkeys(map(str, places)))
            raise BadRowError("missing file", f"no bag at {tried}; set media_dir or h5_path")
        return str(found)


def json_stream(
    path: str | Path, make: Callable[[Row], Record | None], *, media_dir: str | Path | None, **options: Any
) -> Stream:
    """Return the stream of a source of JSON samples (``reading.json``).

    Args:
        path: The source.
        make: Makes a draft of one sample, independently of the others.
        media_dir: See `folders_for`.
        options: Further fields of `Stream`.
    """
    source = Path(path)
    folders = folders_for(source, media_dir)
    return Stream(path=source, drafts=lambda: drafts(read_samples(source), make), make=make, folders=folders, **options)


def reader(open_stream: Callable[..., Stream]) -> Any:
    """Make a reader of a function that returns a stream: a call gives lists, ``.stream`` gives the stream.

    Both also take ``image_suffix``, which replaces the last suffix of every image before it is looked up, and
    ``flat_images``, which leaves out the folders before its name: data that names ``BRCA/a.csv`` is read with the bag
    ``a.h5`` as it stands.
    """
    takes = inspect.signature(open_stream)
    more = [
        inspect.Parameter("image_suffix", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"),
        inspect.Parameter("flat_images", inspect.Parameter.KEYWORD_ONLY, default=False, annotation="bool"),
    ]
    signature = takes.replace(parameters=[*takes.parameters.values(), *more])

    @functools.wraps(open_stream)
    def stream(*args: Any, image_suffix: str | None = None, flat_images: bool = False, **options: Any) -> Stream:
        opened = open_stream(*args, **options)
        if image_suffix is None and not flat_images:
            return opened
        named = isinstance(image_suffix, str) and image_suffix[:1] == "." and "/" not in image_suffix
        if image_suffix is not None and not named:
            raise PathPluginsError(f"image_suffix must begin with a dot, as in .h5; got {image_suffix!r}")
        return replace(opened, suffix=image_suffix, flat=bool(flat_images))

    @functools.wraps(open_stream)
    def read(*args: Any, **options: Any) -> tuple[list[Record], list[BadSample]]:
        return stream(*args, **options).lists()

    stream.__signature__ = read.__signature__ = signature  # type: ignore[attr-defined]
    read.stream = stream  # type: ignore[attr-defined]
    return read


def _source_of(draft: Record | Unwanted) -> str | None:
    return None if isinstance(draft, Unwanted) else draft.source


def folders_for(path: Path, media_dir: str | Path | None) -> tuple[Path, ...]:
    """Return the folders in which images are looked up: ``media_dir``, then beside the file (or in the folder)."""
    beside = path.absolute() if path.is_dir() else path.absolute().parent
    return tuple(dict.fromkeys((beside,) if media_dir is None else (Path(media_dir).absolute(), beside)))


class Places:
    """Finds images in several folders, the first one first, with one listing per folder instead of a look per image.

    An image found nowhere is assigned to the first folder; the image check reports it as missing. With one folder
    nothing is read at all.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [str(folder) for folder in folders]
        self._listings: dict[str, frozenset[str]] = {}

    def locate(self, image: str) -> str:
        """Return the absolute path of an image; an absolute path is kept."""
        places = [os.path.join(folder, image) for folder in self._folders]  # noqa: PTH118 - a million Paths take 5 s
        if len(places) > 1:
            return next((place for place in places if self._exists(place)), places[0])
        return places[0]

    def _exists(self, place: str) -> bool:
        folder, name = os.path.split(place)
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
            except (OSError, ValueError):  # ValueError: a null character
                self._listings[folder] = frozenset()
        return name in self._listings[folder]


class _Words:
    """Keeps the samples whose answer is long enough."""

    def __init__(self, at_least: int, path: Path) -> None:
        self._at_least, self._path = at_least, path
        self._total = self._kept = 0

    def __contains__(self, record: Record) -> bool:
        kept = len(record.conversations[-1].text.split()) >= self._at_least
        self._total += 1
        self._kept += kept
        return kept

    def finish(self) -> None:
        """Log how many were left out.

        Raises:
            PathPluginsError: all of them were.
        """
        if self._total and not self._kept:
            raise PathPluginsError(
                f"{self._path}: none of {self._total} captions has {self._at_least} words; lower min_words"
            )
        if self._kept < self._total:
            logger.warning(
                "%s: %d of %d captions have fewer than %d words, left out",
                *(self._path, self._total - self._kept, self._total, self._at_least),
            )
