"""The table of a cleaning, ``scores.csv``: a row a pair with its scores, its groups and the reasons against it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.core.nearest import near_path

from .examined import Examined
from .joining import Groups, first_with, near_captions
from .leaks import SmallImages, image_leaks, name_leaks, text_leaks
from .near_images import ImageIndex
from .parts import BETWEEN, NAMES, OF_IMAGES, part_lines, read_parts
from .rules import Scores, species_code
from .shingles import Shingles

GROUPS = ("image_id", "caption_id", "near_caption_id")
SEPARATOR = "; "  #: between the reasons of a pair

_WHOLE = ("row", "words", "length", *GROUPS)
_SHARES = ("english", "digits", "reference")
_PICTURES = {"fault": bool, "width": int, "height": int, "spread": float, "gradient": float}

FLAT = 2.0  # grey values; images of less contrast are compared with no other, for their waves are noise


class Joined(NamedTuple):
    """The scores of all blocks, with what only all pairs together show."""

    scores: Scores
    crowded: int
    """Captions that met too many similar ones to be compared with all."""
    leaks: dict[int, str]
    """Number of a pair, from 0 -> what it gives away, in words."""


def scores_of(folder: Path, examined: Examined | None, theirs: SmallImages | None) -> Joined:
    """Join the blocks.

    Args:
        folder: Of the blocks.
        examined: Evaluation sets; None compares with none.
        theirs: Their images, where those of the pairs were looked at.
    """
    part = read_parts(folder)
    shingles = Shingles(**{name: part.pop(name) for name in Shingles._fields})
    row = part["row"]
    caption = first_with(shingles.exact)
    near, crowded = near_captions(shingles, caption)
    image = first_with(part.pop("image"))
    found = _Found()
    if examined is not None:
        found.add("caption", text_leaks(shingles, examined))
        found.add("name", name_leaks((line[2].split(BETWEEN) for line in part_lines(folder)), examined))
    if "small" in part:
        numbers = np.flatnonzero(part.pop("compared") & (part["spread"] >= FLAT))
        small = part.pop("small")[numbers]
        image = _shown_twice(image, small, numbers)
        if theirs is not None:
            found.add("image", image_leaks(small, numbers, theirs))
    groups = {"image_id": row[image], "caption_id": row[caption], "near_caption_id": row[near]}
    leak = None if examined is None else np.isin(np.arange(len(row)), [*found.words])
    texts = {pair: SEPARATOR.join(words) for pair, words in found.words.items()}
    return Joined(Scores(**part, **groups, leak=leak), crowded, texts)


class _Found:
    def __init__(self) -> None:
        self.words: dict[int, dict[str, None]] = {}

    def add(self, kind: str, leaks: Iterable[tuple[int, str]]) -> None:
        for pair, place in leaks:
            self.words.setdefault(pair, {})[f"{kind} {place}"] = None


def _shown_twice(image: np.ndarray, small: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Join the groups of ``image``, [N] the first of equal name, whose images show the same.

    Args:
        image: [N].
        small: [M, SIDE, SIDE], the images that are compared.
        numbers: [M], the pair of each.
    """
    groups = Groups(len(image))
    for number in np.flatnonzero(image != np.arange(len(image))).tolist():
        groups.join(int(image[number]), number)
    once = np.flatnonzero(image[numbers] == numbers)  # of equal names the first
    for one, other in numbers[once][ImageIndex(small[once]).find(small[once])].tolist():
        groups.join(one, other)
    return groups.all()


def write_table(path: Path, folder: Path, joined: Joined, found: Mapping[str, np.ndarray]) -> None:
    """Write the table whole: the lines of the blocks, then the groups, leaks and reasons of each pair."""
    scores = joined.scores
    groups = zip(*(getattr(scores, name).tolist() for name in GROUPS), strict=True)
    pictured, examined = scores.fault is not None, scores.leak is not None
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*NAMES, *OF_IMAGES * pictured, *GROUPS, *("leak",) * examined, "reasons"))
        for number, (line, group, why) in enumerate(zip(part_lines(folder), groups, _texts(found), strict=True)):
            writer.writerow((*line, *group, *(joined.leaks.get(number, ""),) * examined, why))


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
    kinds = {**dict.fromkeys(_WHOLE, int), **dict.fromkeys(_SHARES, float), "species": species_code}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if missing := [name for name in kinds if name not in header]:
            raise PathPluginsError(
                f"{path} lacks the columns {', '.join(missing)}; expected a scores.csv of `pathdata clean --out`"
            )
        kinds |= {"leak": bool} if "leak" in header else {}
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
    types = {int: np.int64, species_code: np.int8}
    arrays = {name: np.array(values, types.get(kinds[name], kinds[name])) for name, values in cells.items()}
    if "fault" in arrays:
        arrays["side"] = np.minimum(arrays.pop("width"), arrays.pop("height"))
    return Scores(**arrays)
