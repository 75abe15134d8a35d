"""LLaVA conversations: ``{"id", "image", "conversations": [{"from": "human", "value": ...}, ...]}``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.conversations import llava_draft, roles_with


@reader
def read_llava(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    ids: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Stream:
    """Read conversations about one image, several or none; an image may be a feature bag (``.h5``).

    ``<image>`` is needed once per image and stays where it stands in the text; XTuner and LLaVA move it to the front.
    Answers before the first question are left out, as in both. Images stand under ``image`` or ``images``.

    Args:
        path: A JSON list, a JSON object id -> sample, JSON lines, or a folder of ``*.json`` and ``*.jsonl``.
        media_dir: Where relative images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        columns: Keys of a sample that are not LLaVA's, as LLaMA-Factory's ``dataset_info.json`` names them:
            ``messages``, ``images``.
        tags: Keys and speakers of a turn likewise: ``role_tag``, ``content_tag``, ``user_tag``, ``assistant_tag``,
            ``system_tag``.
    """
    make = llava_draft
    if columns or tags:
        make = functools.partial(llava_draft, columns=columns or {}, tags=tags or {}, roles=roles_with(tags or {}))
    return json_stream(path, make, media_dir=media_dir, ids=ids)
