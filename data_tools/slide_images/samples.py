"""Samples: what is asked about slides, read from any format of conversations or from a table of labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import choice_texts
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

from ..records.request import Request, open_stream
from ..splits.row_groups import slide_name
from ..tables.choices import choices_of, shuffled
from ..tables.labels import read_labels


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every slide of a table of labels is asked."""

    question: str = "What is the diagnosis?"
    choices: str = "auto"
    """``auto`` for all labels, ``none``, or the choices separated by ``|``."""
    seed: int = 0
    """Shuffles the choices of each slide."""
    slide_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise PathPluginsError("--question is empty; give what is asked of every slide")
        if IMAGE_PLACEHOLDER in self.question:
            raise PathPluginsError(f"--question has {IMAGE_PLACEHOLDER}, which stands for the slide; leave it out")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What is asked about slides."""

    path: Path
    """Where it was read."""
    records: list[Record]
    """Their images are slides, by any name, path or suffix."""
    bad: list[BadSample]


def read_records(path: Path, format_name: str, options: dict[str, Any]) -> Samples:
    """Read conversations about slides; the images of a record are its slides.

    Args:
        path: File or folder of the format.
        format_name: A name of ``READERS``.
        options: Options of the reader; those that are None are not passed.
    """
    stream = open_stream(Request(source=path, out=path.with_suffix(".out"), format_name=format_name, options=options))
    records, bad = stream.lists()
    good = []
    for record in records:
        if record.images:
            good.append(record)
            continue
        detail = f"{record.id} is about no slide; expected one or more, each with {IMAGE_PLACEHOLDER} in the text"
        bad.append(BadSample(source=record.source, row=record.row, reason="no slide", detail=detail))
    return Samples(path=path, records=good, bad=bad)


def read_labelled(path: Path, asked: Asked) -> Samples:
    """Read a table of labels: a question to every slide, and its label as the answer.

    Raises:
        PathPluginsError: no such columns, or choices that lack a label.
    """
    labels = read_labels(path, slide_column=asked.slide_column, label_column=asked.label_column)
    choices = choices_of(asked.choices, [row.label for row in labels.rows])
    records, bad, lines = [], [*labels.bad], {}
    for row in labels.rows:
        name, question, answer = slide_name(row.slide), asked.question.strip(), row.label
        if (first := lines.setdefault(name, row.row)) != row.row:
            detail = f"{name} has a label in line {first} already; expected each slide once"
            bad.append(BadSample(source=str(path), row=row.row, reason="slide named twice", detail=detail))
            continue
        if IMAGE_PLACEHOLDER in answer:
            detail = f"the label {answer!r} has {IMAGE_PLACEHOLDER}, which stands for a slide"
            bad.append(BadSample(source=str(path), row=row.row, reason="placeholder in label", detail=detail))
            continue
        if choices:
            order = shuffled(choices, name, asked.seed)
            question, answer = choice_texts(question, order, order.index(answer))
        turns = (Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", answer))
        records.append(
            Record(id=name, conversations=turns, images=(row.slide,), meta={}, source=str(path), row=row.row)
        )
    return Samples(path=path, records=records, bad=bad)
