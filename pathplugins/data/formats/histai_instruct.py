"""HISTAI-Instruct: one H5 file with the texts of many slides, several conversations a slide, one an attribute.

``text_attributes/<slide>`` is a JSON text ``{attribute: [{"role", "content"}, ...]}``. ANTONI-Alpha draws one attribute
of each slide anew in every epoch, unseeded. Trainers tokenize their data once, so here every attribute is a record: one
epoch of seven attributes is seven of the published ones, each conversation seen as often as by drawing on average (a
slide that lacks some counts for less). The features lie in the same file, ``embeddings/<slide>/features``; a record
names ``<slide>.h5``, which ``pathdata convert features FILE --to bare --out DIR`` writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.data.bags.layout import open_bag
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.conversations import turns_of
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, refuse_placeholder, shown
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record

TEXTS = "text_attributes"


@reader
def read_histai_instruct(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    subset: str | Sequence[str] | None = None,
    ids: str | Path | None = None,
) -> Stream:
    """Read the conversations about slides; the attribute of each is kept with the record.

    Args:
        path: The H5 file.
        media_dir: Where ``<slide>.h5`` are looked for first; then beside the file.
        subset: Attributes that are kept, as a list or a text with commas; None keeps all.
        ids: Index file of the samples to keep: one id (``<slide>/<attribute>``) a line, a JSON list or a table.
    """
    listed = subset.split(",") if isinstance(subset, str) else subset
    wanted = None if listed is None else tuple(dict.fromkeys(name.strip() for name in listed))
    path = Path(path)
    return Stream(path=path, drafts=lambda: _drafts(path, wanted), folders=folders_for(path, media_dir), ids=ids)


def _drafts(path: Path, wanted: Sequence[str] | None) -> Iterator[Draft]:
    with open_bag(path) as file:
        texts = _texts(file, path)
        found: set[str] = set()
        numbers = itertools.count(1)  # of conversations, so that a bad one leaves the slide's others alone
        for slide in sorted(texts):
            try:
                cells = _cells(texts, slide)
            except BadRowError as error:
                detail = f"{slide}: {error}"
                yield BadSample(source=str(path), row=next(numbers), reason=error.reason, detail=detail)
                continue
            found |= cells.keys()
            for attribute in (name for name in wanted or cells if name in cells):
                row = Row(source=str(path), number=next(numbers), cells=cells)
                try:
                    yield _draft(row, slide, attribute)
                except BadRowError as error:
                    detail = f"{slide}, {attribute}: {error}"
                    yield BadSample(source=str(path), row=row.number, reason=error.reason, detail=detail)
        if absent := sorted(set(wanted or ()) - found):
            raise PathPluginsError(
                f"{path}: no slide has the attributes {', '.join(absent)}; its slides have {', '.join(sorted(found))}: "
                "correct `subset`"
            )


def _texts(file: h5py.File, path: Path) -> h5py.Group:
    if not isinstance(file.get(TEXTS, getlink=True), h5py.HardLink) or not isinstance(file[TEXTS], h5py.Group):
        raise PathPluginsError(
            f"{path} holds {', '.join(sorted(map(str, file))) or 'nothing'}; expected the group {TEXTS} of "
            "HISTAI-Instruct, with a JSON text for each slide"
        )
    return file[TEXTS]


def _cells(texts: h5py.Group, slide: str) -> dict[str, object]:
    """Return the attributes of a slide."""
    if not isinstance(texts.get(slide, getlink=True), h5py.HardLink) or not isinstance(texts[slide], h5py.Dataset):
        raise BadRowError("no text", f"{TEXTS}/{slide} is no data set in this file; expected one JSON text")
    value = texts[slide][()] if texts[slide].shape == () else None
    try:
        cells = parse_json(value.decode() if isinstance(value, bytes) else value)
    except (TypeError, ValueError) as error:
        raise BadRowError("no JSON", f"{TEXTS}/{slide} is {shown(value)}; expected one JSON text ({error})") from error
    if not isinstance(cells, dict) or not cells:
        raise BadRowError("no conversation", f"it holds {shown(cells)}; expected attributes with conversations")
    return cells


def _draft(row: Row, slide: str, attribute: str) -> Record:
    turns = turns_of(row.cells[attribute], "role", "content", key=attribute)
    for turn in turns:
        refuse_placeholder(turn.text)
    first = int(turns[0].role == "system")
    roles = [turn.role for turn in turns[first:]]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise BadRowError("roles do not alternate", f"roles are {roles}; expected questions with their answers")
    turns[first] = turns[first]._replace(text=f"{IMAGE_PLACEHOLDER}\n{turns[first].text}")
    return Record(
        id=f"{slide}/{attribute}",
        conversations=tuple(turns),
        images=(f"{slide}.h5",),
        meta={"slide": slide, "attribute": attribute},
        source=row.source,
        row=row.number,
    )
