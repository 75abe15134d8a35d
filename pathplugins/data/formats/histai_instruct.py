"""HISTAI-Instruct: one H5 file with the texts of many slides, several conversations a slide, one an attribute.

``text_attributes/<slide>`` is a JSON text ``{attribute: [{"role", "content"}, ...]}``. ANTONI-Alpha draws one attribute
of each slide anew in every epoch, unseeded. Trainers tokenize their data once, so here every attribute is a record: one
epoch of seven attributes is seven of the published ones, each conversation seen as often as by drawing on average. The
features lie in the same file, ``embeddings/<slide>/features``; a record names ``<slide>.h5``, which ``pathdata convert
features FILE --to bare --out DIR`` writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import h5py

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.registry import unknown
from pathplugins.data.bags.layout import open_bag
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.conversations import turns_of
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, refuse_placeholder, shown
from pathplugins.data.prompts import picked, stable_number
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

TEXTS = "text_attributes"
Draw = Literal["all", "one"]


@reader
def read_histai_instruct(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    attributes: str | Sequence[str] | None = None,
    draw: Draw = "all",
    min_turns: int | None = None,
    seed: int = 0,
    ids: str | Path | None = None,
) -> Stream:
    """Read the conversations about slides; the attribute of each is kept with the record.

    Args:
        path: The H5 file.
        media_dir: Where ``<slide>.h5`` are looked for first; then beside the file.
        attributes: Those that are kept, as a list or a text with commas; None keeps all.
        draw: ``all``: a record for each kept attribute of a slide; ``one``: for one of them, drawn by the seed.
        min_turns: Questions with their answers that are kept at least: how many of the leading ones is drawn by the
            seed for each record, between this number and all. None (as published: 99) keeps all.
        seed: Of these draws.
        ids: Index file of the samples to keep: one id (``<slide>/<attribute>``) a line, a JSON list or a table.
    """
    if draw not in get_args(Draw):
        raise PathPluginsError(unknown("draw", str(draw), get_args(Draw)))
    if min_turns is not None and min_turns < 1:
        raise PathPluginsError(f"min_turns is {min_turns}, expected 1 or more; leave it out to keep all turns")
    listed = attributes.split(",") if isinstance(attributes, str) else attributes
    wanted = None if listed is None else tuple(dict.fromkeys(name.strip() for name in listed))
    chosen = _Chosen(wanted=wanted, draw=draw, min_turns=min_turns, seed=seed)
    path = Path(path)
    return Stream(path=path, drafts=lambda: _drafts(path, chosen), folders=folders_for(path, media_dir), ids=ids)


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """Which attributes of a slide become records, and how much of each."""

    wanted: tuple[str, ...] | None
    draw: Draw
    min_turns: int | None
    seed: int

    def attributes(self, slide: str, held: Sequence[str]) -> list[str]:
        """Return the attributes of a slide that are kept, in the order asked for."""
        kept = [name for name in (held if self.wanted is None else self.wanted) if name in held]
        return kept if self.draw == "all" or not kept else [picked(kept, slide, self.seed)]

    def turns(self, name: str, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """Return the leading turns of a conversation that are kept."""
        first = int(turns[0].role == "system")
        pairs = (len(turns) - first) // 2
        if self.min_turns is None or self.min_turns >= pairs:
            return tuple(turns)
        drawn = self.min_turns + stable_number("turns", str(self.seed), name) % (pairs - self.min_turns + 1)
        return tuple(turns[: first + 2 * drawn])


def _drafts(path: Path, chosen: _Chosen) -> Iterator[Draft]:
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
            for attribute in chosen.attributes(slide, list(cells)):
                row = Row(source=str(path), number=next(numbers), cells=cells)
                try:
                    draft = _draft(row, slide, attribute)
                except BadRowError as error:
                    detail = f"{slide}, {attribute}: {error}"
                    yield BadSample(source=str(path), row=row.number, reason=error.reason, detail=detail)
                    continue
                yield replace(draft, conversations=chosen.turns(draft.id, draft.conversations))
        if absent := sorted(set(chosen.wanted or ()) - found):
            raise PathPluginsError(
                f"{path}: no slide has the attributes {', '.join(absent)}; its slides have {', '.join(sorted(found))}: "
                "correct `attributes`"
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
