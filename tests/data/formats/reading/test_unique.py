"""Ids are the same whether they are known to repeat from the start or found to on the way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.data.formats.reading.assembly import Stream
from pathplugins.data.formats.reading.rows import Draft, Unwanted
from pathplugins.data.formats.reading.unique import IdsRepeat
from pathplugins.data.records import BadSample, Record, Turn

TURNS = (Turn("user", "?"), Turn("assistant", "!"))


def draft(name: str, row: int, source: str = "a.json") -> Record:
    return Record(id=name, conversations=TURNS, images=(), meta={}, source=source, row=row)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.text("ab#", min_size=1, max_size=3), st.sampled_from(["x/a.json", "x/b.json"]))))
def test_every_way_gives_the_ids_of_the_rule(rows: list[tuple[str, str]]) -> None:
    found = [draft(name, row, source) for row, (name, source) in enumerate(sorted(rows, key=lambda r: r[1]), start=1)]
    uses, several = Counter(record.id for record in found), len({record.source for record in found}) > 1

    def wanted(record: Record) -> str:
        place = f"{Path(record.source).name}:{record.row}" if several else f"{record.row}"
        return f"{record.id}#{place}" if uses[record.id] > 1 or "#" in record.id else record.id

    stream = Stream(path=Path("a"), drafts=lambda: iter(found))
    for _ in range(2):
        try:
            ids = [record.id for record in stream if isinstance(record, Record)]
        except IdsRepeat:
            continue
        break
    assert ids == [wanted(record) for record in found]
    assert [record.id for record in stream.lists()[0]] == ids


def test_the_source_is_gone_through_once_if_ids_are_unique_and_twice_if_not() -> None:
    passes = 0

    def drafts(last: str) -> Iterator[Draft]:
        nonlocal passes
        passes += 1
        yield from (draft(f"s{row}", row) for row in range(1, 5000))
        yield draft(last, 5000)

    assert sum(1 for _ in Stream(path=Path("a"), drafts=lambda: drafts("new"))) == 5000
    assert passes == 1
    stream = Stream(path=Path("a"), drafts=lambda: drafts("s7"))
    with pytest.raises(IdsRepeat):
        deque(stream, 0)
    ids = [record.id for record in stream if isinstance(record, Record)]
    assert passes == 3
    assert [ids[6], ids[-1], ids[7]] == ["s7#7", "s7#5000", "s8"]


def test_an_unwanted_row_counts_and_final_ids_may_not_repeat() -> None:
    found: list[Draft] = [draft("a", 1), Unwanted("a"), draft("b#1", 3)]
    records, bad = Stream(path=Path("a"), drafts=lambda: iter(found)).lists()
    assert [record.id for record in records] == ["a#1", "b#1#3"]
    records, bad = Stream(path=Path("a"), drafts=lambda: iter(found), ids_are_final=True).lists()
    assert [record.id for record in records] == ["b#1"]
    assert bad == [
        BadSample(
            source="a.json",
            row=1,
            reason="repeated id",
            detail="the id 'a' stands in more than one row; expected each once",
        )
    ]
