"""Caption files of PA-LLaVA: ``[{"image": ..., "caption": ...}]`` as JSON or JSON lines."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.captions import caption_draft


@reader
def read_pallava_captions(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    seed: int = 0,
    ids: str | Path | None = None,
    min_words: int = 0,
    requests: str | Path | None = None,
) -> Stream:
    """Read image captions, each as the answer to one of 21 requests, drawn by seed.

    Args:
        path: A JSON list, JSON lines, or a folder of them.
        media_dir: Where relative images are looked for first; then beside the file.
        seed: Draws the request and the place of ``<image>``, before or after it.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        min_words: Shorter captions are left out; the authors dropped those below 20.
        requests: List of requests to draw from, one a line or a JSON list; None draws from the built-in ones.

    Source: ``dataformat.py`` of PA-LLaVA, which is unseeded, cuts ids at the first dot and silently skips images.
    """
    return json_stream(
        path, caption_draft(seed=seed, requests=requests), media_dir=media_dir, ids=ids, min_words=min_words
    )
