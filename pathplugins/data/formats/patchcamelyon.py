"""PatchCamelyon: small patches of lymph nodes in H5 files, asked whether their middle shows tumour."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_bytes_whole
from pathplugins.data.formats.pcam200 import ANSWERS
from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.patches import Asked, Question, patch_stream, yes_no
from pathplugins.data.patch_sets import PatchSet
from pathplugins.data.prompts import MIDDLE, TUMOUR_QUESTIONS, TUMOUR_REQUESTS, picked


@reader
def read_patchcamelyon(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    split: str | None = None,
    questions: str = "both",
    seed: int = 0,
    ids: str | Path | None = None,
    extract_to: str | Path | None = None,
) -> Stream:
    """Ask of each patch whether it shows tumour: with yes and no, and openly.

    Args:
        path: Folder of the H5 files.
        media_dir: Ignored; every reader has it.
        split: The part to keep, ``train``, ``valid`` or ``test``; None keeps all.
        questions: ``closed`` (yes or no), ``open``, or ``both``: two records of a patch.
        seed: Draws the wording.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        extract_to: Folder that gets the pictures as PNG files, each once; None refuses to read.
    """
    del media_dir
    if extract_to is None:
        raise PathPluginsError(
            f"{path} holds its pictures in H5 files; write them to files once with `pathdata convert patchcamelyon "
            f"{path} --to sharegpt --out FOLDER`, and train from that"
        )
    folder = Path(extract_to).absolute()

    def picture(patches: PatchSet, index: int) -> str:
        file, _, row = patches.names[index].rpartition("#")
        target = folder / f"{Path(file).stem}_{row}.png"
        if not target.is_file():
            png = io.BytesIO()
            patches.read(index).save(png, "PNG")
            write_bytes_whole(target, png.getvalue())
        return str(target)

    return patch_stream(
        path, "patchcamelyon", _ask, questions=questions, split=split, ids=ids, seed=seed, picture=picture
    )


def _ask(asked: Asked) -> Iterator[Question]:
    label = int(asked.patches.labels[asked.index])
    yield yes_no(f"{picked(TUMOUR_QUESTIONS, asked.id, asked.seed)} {MIDDLE}", label == 1)
    yield Question("open", f"{picked(TUMOUR_REQUESTS, asked.id, asked.seed)} {MIDDLE}", ANSWERS[label])
