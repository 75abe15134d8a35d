"""Caption files of PMC-OA: ``pmc_oa.jsonl``, one ``{"image": ..., "caption": ...}`` a line."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.pallava_captions import read_pallava_captions
from pathplugins.data.formats.reading.assembly import Stream, reader


@reader
def read_pmc_oa(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    seed: int = 0,
    ids: str | Path | None = None,
    min_words: int = 0,
    requests: str | Path | None = None,
) -> Stream:
    """Read figure captions, with the columns and options of ``pallava_captions``.

    ``media_dir`` is the folder the images were unpacked into. Source: ``pmc_oa.jsonl`` and ``pmc_oa_beta.jsonl``.
    """
    options = {"seed": seed, "ids": ids, "min_words": min_words, "requests": requests}
    return read_pallava_captions.stream(path, media_dir=media_dir, **options)
