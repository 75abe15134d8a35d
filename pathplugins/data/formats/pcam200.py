"""PCam200: patches of lymph nodes, asked whether they show tumour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.patches import Asked, Question, patch_stream, yes_no
from pathplugins.data.prompts import TUMOUR_QUESTIONS, TUMOUR_REQUESTS, picked

ANSWERS = ("normal tissue", "tumour")
"""Answer to an open question, by class."""


@reader
def read_pcam200(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    split: str | None = None,
    questions: str = "both",
    seed: int = 0,
    ids: str | Path | None = None,
) -> Stream:
    """Ask of each patch whether it shows tumour: with yes and no, and openly.

    Args:
        path: Folder of the parts, or of one part.
        media_dir: Ignored; every reader has it.
        split: The part to keep, ``train``, ``valid`` or ``test``; None keeps all. A folder of one part is kept whole.
        questions: ``closed`` (yes or no), ``open``, or ``both``: two records of a patch.
        seed: Draws the wording.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    del media_dir
    return patch_stream(path, "pcam200", _ask, questions=questions, split=split, ids=ids, seed=seed)


def _ask(asked: Asked) -> Iterator[Question]:
    label = int(asked.patches.labels[asked.index])
    yield yes_no(picked(TUMOUR_QUESTIONS, asked.id, asked.seed), label == 1)
    yield Question("open", picked(TUMOUR_REQUESTS, asked.id, asked.seed), ANSWERS[label])
