"""Questions about the patches of a patch set: a record for each question, its slide and part in ``meta``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream
from pathplugins.data.formats.reading.rows import BadRowError, Draft, choice_texts
from pathplugins.data.images import BadImage
from pathplugins.data.patch_sets import PatchSet, find_patch_set
from pathplugins.data.patch_sets.patch_set import PARTS
from pathplugins.data.prompts import stable_number
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

STYLES = ("closed", "open")


class Question(NamedTuple):
    """A question about a patch and its answer."""

    style: str
    """``closed`` or ``open``; part of the record's id."""
    text: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a function that asks about a patch is given."""

    patches: PatchSet
    index: int
    id: str
    """Name of the patch without suffix; wording is drawn by it."""
    seed: int


Ask = Callable[[Asked], Iterator[Question]]


def patch_stream(
    path: str | Path,
    kind: str,
    ask: Ask,
    *,
    questions: str,
    split: str | None,
    ids: str | Path | None,
    seed: int,
    picture: Callable[[PatchSet, int], str] = lambda patches, index: str(patches.file(index)),
) -> Stream:
    """Return the questions about all patches of a set, in the order of its names.

    Args:
        path: its folder.
        kind: of the set.
        ask: yields the questions about one patch.
        questions: ``closed``, ``open`` or ``both``.
        split: the part to keep; None, or a folder without parts in it, keeps all.
        ids: see `Stream`.
        seed: draws the wording.
        picture: returns the path of the picture of a patch.
    """
    if questions not in (*STYLES, "both"):
        raise PathPluginsError(f"questions is {questions!r}, expected closed, open or both")
    if split is not None and split.casefold() not in PARTS:
        raise PathPluginsError(f"split is {split!r}, expected train, valid or test")

    def found() -> Iterator[Draft]:
        there = find_patch_set(path, kind)
        yield from there.faults
        wanted = PARTS[split.casefold()] if split and len({*there.patches.parts.values}) > 1 else None
        for index in range(len(there.patches)):
            if wanted in (None, there.patches.parts[index]):
                yield from _records(there.patches, index)

    def _records(patches: PatchSet, index: int) -> Iterator[Draft]:
        name = patches.names[index]
        asked = Asked(patches=patches, index=index, id=_without_suffix(name), seed=seed)
        source, row = str(patches.root), index + 1
        try:
            for question in ask(asked):
                if questions in (question.style, "both"):
                    yield Record(
                        id=f"{asked.id}:{question.style}",
                        conversations=(
                            Turn("user", f"{IMAGE_PLACEHOLDER}\n{question.text}"),
                            Turn("assistant", question.answer),
                        ),
                        images=(picture(patches, index),),
                        meta=_meta(patches, index),
                        source=source,
                        row=row,
                    )
        except (BadImage, BadRowError) as error:
            yield BadSample(source=source, row=row, reason=error.reason, detail=str(error))

    root = Path(path).expanduser().absolute()
    return Stream(path=root, drafts=found, folders=(root,), beside=True, ids=ids)


def with_choices(asked: Asked, question: str, right: str, others: tuple[str, ...], count: int) -> Question:
    """Return a closed question with ``count`` of the choices, the right one among them, in an order of its own."""
    rng = np.random.default_rng(stable_number("choices", str(asked.seed), asked.id))
    wrong = [other for other in others if other != right]
    choices = [right, *(wrong[at] for at in rng.permutation(len(wrong))[: count - 1])]
    choices = [choices[at] for at in rng.permutation(len(choices))]
    text, answer = choice_texts(question, choices, choices.index(right))
    return Question("closed", text, answer)


def yes_no(question: str, yes: bool) -> Question:
    """Return a closed question with yes and no."""
    text, answer = choice_texts(question, ["yes", "no"], 0 if yes else 1)
    return Question("closed", text, answer)


def _meta(patches: PatchSet, index: int) -> Mapping[str, str]:
    label = int(patches.labels[index])
    told = {"class": patches.classes[label] if label >= 0 else "", "slide": patches.groups[index]}
    told["part"] = patches.parts[index]
    return {name: text for name, text in told.items() if text}


def _without_suffix(name: str) -> str:
    """Return a name without the suffix of a picture; ``<stem>_<row>`` of a row of an H5 file."""
    file, mark, row = name.rpartition("#")
    return f"{file.rpartition('.')[0]}_{row}" if mark and row.isdecimal() else name.rpartition(".")[0]
