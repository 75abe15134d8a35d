"""Pairs that give away an evaluation set: by the text, by the name of the image, or by what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from .captions import tidy
from .examined import Examined
from .joining import Sets, alike
from .names import stem
from .near_images import ImageIndex
from .parts import context
from .pictures import look
from .shingles import BANDS, Shingles, shingle
from .turned import SIDE

SHORT_NAME = 8
"""Names of fewer characters, such as ``12.jpg``, are those of many images; they are not compared."""


class SmallImages(NamedTuple):
    """Images of evaluation sets as they are compared."""

    small: np.ndarray
    """[N, SIDE, SIDE] uint8."""
    places: list[str]
    """Where each stands."""
    missing: int
    """Images that are not there or cannot be used."""


def decode(files: dict[str, str], workers: int, flat: float) -> SmallImages:
    """Decode the images of evaluation sets, file -> place; those with less contrast than ``flat`` are left out."""
    with ProcessPoolExecutor(workers, context()) as pool:
        looked = [*pool.map(look, files, chunksize=16)]
    kept = [
        (one.small, place)
        for one, place in zip(looked, files.values(), strict=True)
        if one.small is not None and one.spread >= flat
    ]
    small = np.stack([small for small, _ in kept]) if kept else np.zeros((0, SIDE, SIDE), np.uint8)
    return SmallImages(small, [place for _, place in kept], sum(one.small is None for one in looked))


def text_leaks(shingles: Shingles, examined: Examined) -> Iterator[tuple[int, str]]:
    """Yield (number of a pair, place) where a caption is nearly a text of an evaluation set, as in `near_captions`."""
    texts, places = [*map(tidy, examined.texts)], [*examined.texts.values()]
    theirs = shingle(texts)
    _, first = np.unique(theirs.exact, return_index=True)
    first = first[theirs.counts[first] > 0]  # equal texts once; none without words
    ours, others = Sets(shingles), Sets(theirs)
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        order = first[np.argsort(theirs.keys[first, band], kind="stable")]
        ordered = theirs.keys[order, band]
        begins, ends = (np.searchsorted(ordered, shingles.keys[:, band], side=side) for side in ("left", "right"))
        for pair in np.flatnonzero((ends > begins) & (shingles.counts > 0)).tolist():
            for other in order[begins[pair] : ends[pair]].tolist():
                if (pair, other) not in seen and alike(ours[pair], others[other]):
                    seen.add((pair, other))
                    yield pair, places[other]


def name_leaks(images: Iterable[Sequence[str]], examined: Examined) -> Iterator[tuple[int, str]]:
    """Yield (number of a pair, place) where an image has the name of one of an evaluation set, whatever the folder."""
    names: dict[str, str] = {}
    for image, place in examined.names.items():
        if len(stem(image)) >= SHORT_NAME:
            names.setdefault(stem(image), place)
    for pair, of_pair in enumerate(images):
        for place in dict.fromkeys(names[stem(image)] for image in of_pair if stem(image) in names):
            yield pair, place


def image_leaks(small: np.ndarray, numbers: np.ndarray, theirs: SmallImages) -> Iterator[tuple[int, str]]:
    """Yield (number of a pair, place) where two images show the same, each looked for among the others."""
    found = {(one, other) for one, other in ImageIndex(theirs.small).find(small).tolist()}
    found |= {(one, other) for other, one in ImageIndex(small).find(theirs.small).tolist()}
    for one, other in sorted(found):
        yield int(numbers[one]), theirs.places[other]
