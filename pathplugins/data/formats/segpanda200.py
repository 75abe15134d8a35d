"""SegPANDA200: patches of prostate biopsies with masks, asked for the tissues in them and for cancer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, reader
from pathplugins.data.formats.reading.patches import Asked, Question, patch_stream, yes_no
from pathplugins.data.prompts import CANCER_QUESTIONS, TISSUE_QUESTIONS, picked
from pathplugins.published.patchtcga import CANCERS


@reader
def read_segpanda200(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    split: str | None = None,
    questions: str = "both",
    min_share: float = 0.05,
    seed: int = 0,
    ids: str | Path | None = None,
) -> Stream:
    """Ask of each patch whether it has cancer, and which tissues its mask has, the background aside.

    Args:
        path: Folder of the parts, or of one part.
        media_dir: Ignored; every reader has it.
        split: The part to keep, ``train``, ``valid`` or ``test``; None keeps all. A folder of one part is kept whole.
        questions: ``closed`` (cancer, yes or no), ``open`` (tissues), or ``both``.
        min_share: Share of the pixels from which a tissue counts. Of a patch with less cancer than that, but some,
            nobody asks whether it has cancer.
        seed: Draws the wording.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    del media_dir
    if not 0 < min_share < 1:
        raise PathPluginsError(f"min_share must be between 0 and 1, got {min_share}; 0.05 is usual")

    def ask(asked: Asked) -> Iterator[Question]:
        tissues = asked.patches.classes
        mask = asked.patches.read_mask(asked.index)
        shares = np.bincount(mask.reshape(-1), minlength=len(tissues)) / mask.size
        cancer = float(shares[[*CANCERS]].sum())
        if cancer >= min_share or not cancer:
            yield yes_no(picked(CANCER_QUESTIONS, asked.id, asked.seed), cancer > 0)
        text = picked(TISSUE_QUESTIONS, asked.id, asked.seed)
        there = [tissue for tissue, share in zip(tissues[1:], shares[1:], strict=True) if share >= min_share]
        text = text.replace("{share}", f"{100 * min_share:.3g} %")
        yield Question("open", text.replace("{tissues}", ", ".join(tissues[1:])), ", ".join(there) or "none of them")

    return patch_stream(path, "segpanda200", ask, questions=questions, split=split, ids=ids, seed=seed)
