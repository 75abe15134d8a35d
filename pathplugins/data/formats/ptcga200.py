"""PTCGA200: patches of TCGA slides, asked for the organ that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.patches import Asked, Question, patch_stream, with_choices
from pathplugins.data.prompts import ORGAN_QUESTIONS, picked

CHOICES = 4


@reader
def read_ptcga200(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    questions: str = "both",
    seed: int = 0,
    ids: str | Path | None = None,
) -> Stream:
    """Ask of each patch its organ: with four choices, and openly.

    Args:
        path: Folder of the organ folders.
        media_dir: Ignored; every reader has it.
        questions: ``closed`` (with choices), ``open``, or ``both``: two records of a patch.
        seed: Draws the wording and the choices.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    del media_dir
    return patch_stream(path, "ptcga200", _ask, questions=questions, split=None, ids=ids, seed=seed)


def _ask(asked: Asked) -> Iterator[Question]:
    organ = asked.patches.classes[asked.patches.labels[asked.index]]
    text = picked(ORGAN_QUESTIONS, asked.id, asked.seed)
    yield with_choices(asked, text, organ, asked.patches.classes, CHOICES)
    yield Question("open", text, organ)
