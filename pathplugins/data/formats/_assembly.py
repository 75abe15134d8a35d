"""Assembly: drafts become records.

A draft is a record whose id and images are still as the file writes them. Assembling selects, makes ids unique,
resolves the images to absolute paths and checks each record by itself.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats._ids import keep_listed
from pathplugins.data.records import BadSample, Record, check_record

logger = logging.getLogger(__name__)


def assemble(
    found: Iterable[Record | BadSample],
    *,
    path: Path,
    folders: Sequence[Path],
    ids: str | Path | None = None,
    min_words: int = 0,
) -> tuple[list[Record], list[BadSample]]:
    """Records with unique ids and absolute image paths, and what is wrong with the other rows.

    A repeated id gets ``#`` and its row (``#file:row`` where a folder was read); it does not depend on the selection.

    Args:
        found: Drafts and bad rows of the source.
        path: The source, for messages.
        folders: Absolute; where relative images are looked for, see ``Places``.
        ids: Index file of the samples to keep (``_ids``); rows that are not in it are not judged.
        min_words: Samples whose answer has fewer words are left out, and counted in the log.
    """
    records, bad = [], []
    for item in found:
        records.append(item) if isinstance(item, Record) else bad.append(item)
    uses = Counter(record.id for record in records)
    several = len({record.source for record in records}) > 1
    if ids is not None:
        records = keep_listed(records, Path(ids), source=path)
    if min_words:
        records = _long_enough(records, min_words, path)
    places, good = Places(folders), []
    for record in records:
        repeated = uses[record.id] > 1 or "#" in record.id
        row = f"{Path(record.source).name}:{record.row}" if several else f"{record.row}"
        images = tuple(places.locate(image) for image in record.images)
        final = replace(record, id=f"{record.id}#{row}" if repeated else record.id, images=images)
        fault = check_record(final)
        bad.append(fault) if fault else good.append(final)
    return good, sorted(bad, key=lambda sample: (sample.source, sample.row or 0))


def folders_for(path: Path, media_dir: str | Path | None) -> tuple[Path, ...]:
    """Where the images of a source are looked for: ``media_dir``, then beside the file (or in the folder)."""
    beside = path.absolute() if path.is_dir() else path.absolute().parent
    return tuple(dict.fromkeys((beside,) if media_dir is None else (Path(media_dir).absolute(), beside)))


class Places:
    """Finds images in the first of several folders, with one listing per folder instead of a look per image.

    What is in none of them is taken to belong into the first, where the check of the images will miss it. With one
    folder nothing is read at all.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [str(folder) for folder in folders]
        self._listings: dict[str, frozenset[str]] = {}

    def locate(self, image: str) -> str:
        """The absolute path of an image; one that is absolute stays as it is."""
        places = [os.path.join(folder, image) for folder in self._folders]  # noqa: PTH118 - a million Paths take 5 s
        if len(places) > 1:
            return next((place for place in places if self._is_there(place)), places[0])
        return places[0]

    def _is_there(self, place: str) -> bool:
        folder, name = os.path.split(place)
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
            except (OSError, ValueError):  # ValueError: a null character
                self._listings[folder] = frozenset()
        return name in self._listings[folder]


def _long_enough(records: list[Record], min_words: int, path: Path) -> list[Record]:
    kept = [record for record in records if len(record.conversations[-1].text.split()) >= min_words]
    if records and not kept:
        raise PathPluginsError(f"{path}: none of {len(records)} captions has {min_words} words; lower min_words")
    if len(kept) < len(records):
        dropped = len(records) - len(kept)
        logger.warning(
            "%s: %d of %d captions have fewer than %d words, left out", path, dropped, len(records), min_words
        )
    return kept
