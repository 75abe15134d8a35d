"""PubMedVision: LLaVA conversations about lists of images, without ``<image>`` in the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import Draft, Row, drafts, none_kept, same, text_of
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn


@reader
def read_pubmedvision(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    modality: str | None = None,
    ids: str | Path | None = None,
) -> Stream:
    """Read ``PubMedVision_Alignment_VQA.json`` or the instruction file; one ``<image>`` per image is put first.

    Args:
        path: The JSON file.
        media_dir: Where the images were unpacked; then beside the file.
        modality: Samples kept, compared without case; ``Microscopy Images`` is the pathology among them. None keeps
            all.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    path = Path(path)

    def found() -> Iterator[Draft]:
        seen: Counter[str] = Counter()

        def make(row: Row) -> Record | None:
            found = text_of(row.cells, "modality")
            seen[found] += 1
            if modality is not None and not same(found, modality):
                return None
            record = llava_draft(row)
            meta = {key: text for key in ("modality", "body_part") if (text := text_of(row.cells, key))}
            return replace(record, conversations=_with_placeholders(record), meta=meta)

        yield from drafts(read_samples(path), make)
        if modality is not None and seen and not any(same(value, modality) for value in seen):
            raise none_kept(path, "modality", modality, seen, "ask for another modality")

    return Stream(path=path, drafts=found, folders=folders_for(path, media_dir), ids=ids)


def _with_placeholders(record: Record) -> tuple[Turn, ...]:
    """Return the conversation with one placeholder per image before the first question, unless it has any."""
    turns = list(record.conversations)
    first = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)
    if first is not None and not any(IMAGE_PLACEHOLDER in turn.text for turn in turns):
        turns[first] = Turn("user", "\n".join([IMAGE_PLACEHOLDER] * len(record.images) + [turns[first].text]))
    return tuple(turns)
