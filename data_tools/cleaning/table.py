"""The table of a cleaning, ``scores.csv``: a row a pair with its scores, its groups and the reasons against it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.core.nearest import near_path

from .joining import Groups, first_with, near_captions
from .near_images import ImageIndex
from .parts import NAMES, OF_IMAGES, part_lines, read_parts
from .rules import Scores
from .shingles import Shingles

GROUPS = ("image_id", "caption_id", "near_caption_id")
SEPARATOR = "; "  #: between the reasons of a pair

_WHOLE = ("row", "words", "length", *GROUPS)
_SHARES = ("english", "digits", "reference")
_PICTURES = {"fault": bool, "width": int, "height": int, "spread": float, "gradient": float}

_FLAT = 2.0  # grey values; images of less contrast are compared with no other, for their waves are noise


def scores_of(folder: Path) -> tuple[Scores, int]:
    """Return the scores of all blocks with their groups, and how often similar captions were too many to compare."""
    part = read_parts(folder)
    shingles = Shingles(**{name: part.pop(name) for name in Shingles._fields})
    row = part["row"]
    caption = first_with(shingles.exact)
    near, missed = near_captions(shingles, caption)
    image = first_with(part.pop("image"))
    if "small" in part:
        image = _shown_twice(image, part.pop("small"), part.pop("compared") & (part["spread"] >= _FLAT))
    groups = {"image_id": row[image], "caption_id": row[caption], "near_caption_id": row[near]}
    return Scores(**part, **groups), missed


def _shown_twice(image: np.ndarray, small: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Join the groups of ``image``, [N] the first of equal name, whose images show the same."""
    groups = Groups(len(image))
    for place in np.flatnonzero(image != np.arange(len(image))).tolist():
        groups.join(int(image[place]), place)
    places = np.flatnonzero(compared & (image == np.arange(len(image))))
    chosen = small[places]
    for one, other in places[ImageIndex(chosen).find(chosen)].tolist():
        groups.join(one, other)
    return groups.all()


def write_table(path: Path, folder: Path, scores: Scores, found: Mapping[str, np.ndarray]) -> None:
    """Write the table whole: the lines of the blocks, then the groups and the reasons of each pair."""
    groups = zip(*(getattr(scores, name).tolist() for name in GROUPS), strict=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*NAMES, *(OF_IMAGES if scores.fault is not None else ()), *GROUPS, "reasons"))
        for line, group, why in zip(part_lines(folder), groups, _texts(found), strict=True):
            writer.writerow((*line, *group, why))


def _texts(found: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yield the reasons of each pair in words."""
    codes = sum(flags.astype(np.int64) << bit for bit, flags in enumerate(found.values()))
    names = [*found]
    texts = [
        SEPARATOR.join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))
    ]
    return map(texts.__getitem__, np.asarray(codes).tolist())


def read_table(path: Path) -> Scores:
    """Read the scores of a table.

    Raises:
        PathPluginsError: no such file, not such a table, or a row that holds no numbers.
    """
    if not path.is_file():
        raise PathPluginsError(
            f"{path}: no such file; expected the scores.csv that `pathdata clean --out` writes{near_path(path)}"
        )
    kinds = {**dict.fromkeys(_WHOLE, int), **dict.fromkeys(_SHARES, float)}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if missing := [name for name in kinds if name not in header]:
            raise PathPluginsError(
                f"{path} lacks the columns {', '.join(missing)}; expected a scores.csv of `pathdata clean --out`"
            )
        kinds |= {name: kind for name, kind in _PICTURES.items() if {*_PICTURES} <= {*header}}
        cells: dict[str, list[float]] = {name: [] for name in kinds}
        takes = [(header.index(name), kind, cells[name].append) for name, kind in kinds.items()]
        for line in reader:
            try:
                for at, kind, add in takes:
                    add(kind(line[at]))
            except (ValueError, IndexError) as error:
                raise PathPluginsError(
                    f"{path}:{reader.line_num} is no row of scores ({error}); write the table again"
                ) from error
    arrays = {name: np.array(values, np.int64 if kinds[name] is int else kinds[name]) for name, values in cells.items()}
    if "fault" in arrays:
        arrays["side"] = np.minimum(arrays.pop("width"), arrays.pop("height"))
    return Scores(**arrays)
