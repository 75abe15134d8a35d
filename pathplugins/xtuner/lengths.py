"""Lengths of tokenized conversations with their vision tokens, computed for whole columns at a time.

R rows, M images of all rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xtuner.utils import IGNORE_INDEX, IMAGE_TOKEN_INDEX

from pathplugins.core.errors import PathPluginsError

_BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """What is known of every row."""

    total: np.ndarray
    """[R] int64, tokens with the images expanded."""
    needed: np.ndarray
    """[R] int64, the least length limit that cuts no vision token off and leaves something to learn."""
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Row -> short reason, sentence; whatever the limit is."""
    foreign: tuple[int, int] | None = None
    """The first row with an id the vocabulary does not have, and that id."""
    digest: str = ""
    """Name for all ids and labels in their order."""


def images_of(texts: datasets.Dataset) -> tuple[np.ndarray, list[str]]:
    """Return how many images each row has [R] int64, and the references of all rows, in order."""
    if "image" not in texts.column_names:
        return np.zeros(len(texts), np.int64), []
    counts, references = [np.zeros(0, np.int64)], []
    for table in texts.select_columns("image").with_format("arrow").iter(_BATCH):
        column = table["image"].combine_chunks()
        if pa.types.is_null(column.type):
            counts.append(np.zeros(len(column), np.int64))
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            counts.append(np.asarray(column.is_valid()).astype(np.int64))
            references += column.drop_null().to_pylist()
        else:
            counts.append(np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64))
            references += pc.list_flatten(column).to_pylist()
    return np.concatenate(counts), references


def measure(
    texts: datasets.Dataset, images: np.ndarray, tokens: np.ndarray, *, vocabulary: int, image_token_id: int
) -> Lengths:
    """Measure all rows.

    Args:
        texts: with the columns ``input_ids`` and ``labels``.
        images: [R] how many images each row has.
        tokens: [M] vision tokens of each image.
        vocabulary: entries of the tokenizer.
        image_token_id: what an image is expanded to, which no text may hold.

    Raises:
        PathPluginsError: labels and ids of a row differ in number.
    """
    total, needed = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    problems: dict[int, tuple[str, str]] = {}
    foreign, row, image = None, 0, 0
    digest = hashlib.blake2b(digest_size=8)
    for table in texts.select_columns(["input_ids", "labels"]).with_format("arrow").iter(_BATCH):
        rows = slice(row, row + len(table))
        owned = images[rows]
        ids, starts = _flat(table["input_ids"])  # [K], [r + 1]
        labels, label_starts = _flat(table["labels"])
        if not np.array_equal(starts, label_starts):
            r = row + int(np.flatnonzero(starts != label_starts)[0]) - 1
            raise PathPluginsError(f"row {r} has not as many labels as input_ids; make the folder anew")
        for values in (np.diff(starts), ids, labels):
            digest.update(np.ascontiguousarray(values, np.int64).tobytes())
        owner = np.repeat(np.arange(len(table)), np.diff(starts))  # [K]
        marks = ids == IMAGE_TOKEN_INDEX
        found = np.bincount(owner[marks], minlength=len(table))
        fits = found == owned
        for r in np.flatnonzero(~fits):
            problems[row + int(r)] = "placeholder count", _said(int(found[r]), int(owned[r]))
        for r in np.unique(owner[ids == image_token_id]):
            problems[row + int(r)] = "image token in the text", f"token {image_token_id} may only stand for images"
        wrong = np.flatnonzero(((ids < 0) & ~marks) | (ids >= vocabulary))
        if foreign is None and len(wrong):
            foreign = row + int(owner[wrong[0]]), int(ids[wrong[0]])
        widths = np.ones(len(ids), np.int64)  # [K], tokens each id becomes
        widths[marks & fits[owner]] = tokens[image : image + int(owned.sum())][np.repeat(fits, owned)]
        ends = np.concatenate([[0], np.cumsum(widths)])  # [K + 1], where each id ends, over all rows
        before = ends[starts[:-1]]  # [r]
        total[rows] = ends[starts[1:]] - before
        last = np.zeros(len(table), np.int64)
        np.maximum.at(last, owner[marks], (ends[1:] - before[owner])[marks])
        learnt = np.full(len(table), np.iinfo(np.int64).max)
        taught = (labels != IGNORE_INDEX) & ~marks
        np.minimum.at(learnt, owner[taught], (ends[1:] - before[owner])[taught])
        for r in np.flatnonzero(learnt == np.iinfo(np.int64).max):
            problems.setdefault(row + int(r), ("nothing to learn", "every label is masked; expected an answer"))
        needed[rows] = np.maximum(last, learnt)
        row, image = row + len(table), image + int(owned.sum())
    return Lengths(total=total, needed=needed, problems=problems, foreign=foreign, digest=digest.hexdigest())


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all rows [K] and where each row starts [r + 1]."""
    lists = column.combine_chunks()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    return np.asarray(pc.list_flatten(lists)), np.concatenate([[0], np.cumsum(lengths)])


def _said(found: int, owned: int) -> str:
    return f"{found} images stand in the token ids but the row has {owned}; expected as many"
