"""Turn an image and its caption into a request and its answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pathplugins.data.formats.reading.requests import read_requests
from pathplugins.data.formats.reading.rows import BadRowError, Row, refuse_placeholder, text_of
from pathplugins.data.prompts import PATCH_CAPTION_REQUESTS, patch_caption_request, stable_number
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn


def caption_draft(
    *,
    image: str = "image",
    caption: str = "caption",
    meta: tuple[str, ...] = (),
    seed: int = 0,
    requests: str | Path | None = None,
) -> Callable[[Row], Record]:
    """Return the function that makes a draft (see ``reading.assembly``) of a row with an image and a caption.

    The request is one of ``PATCH_CAPTION_REQUESTS`` or of a list of one's own, with ``<image>`` on the line before or
    after it, both drawn from ``seed`` and the id: a row gets the same on every machine and in every order of the file.
    The id is the row's own, or the image's file name without its last suffix.

    Args:
        image: Name of the cell with the image's path.
        caption: Name of the cell with the text to learn.
        meta: Cells kept with the record.
        seed: Seed of the requests.
        requests: File for `read_requests`; None takes the built-in ones.
    """
    texts = PATCH_CAPTION_REQUESTS if requests is None else read_requests(requests)

    def make(row: Row) -> Record:
        name, answer = text_of(row.cells, image), text_of(row.cells, caption)
        if not name:
            raise BadRowError("no image", f"{image} is empty or absent; expected the path of an image")
        sample = text_of(row.cells, "id") or Path(name).stem
        refuse_placeholder(answer, caption)
        lines = [IMAGE_PLACEHOLDER, patch_caption_request(sample, seed, texts)]
        if stable_number("placeholder", str(seed), sample) % 2:
            lines.reverse()
        return Record(
            id=sample,
            conversations=(Turn("user", "\n".join(lines)), Turn("assistant", answer)),
            images=(name,),
            meta={key: text for key in meta if (text := text_of(row.cells, key))},
            source=row.source,
            row=row.number,
        )

    return make
