"""JSON read in pieces: the same values and the same places of faults as reading it whole."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.json_text import CHUNK, JsonText
from pathplugins.data.formats.reading.rows import Row
from pathplugins.data.records import BadSample

QUICK = settings(max_examples=60, deadline=None, derandomize=True)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)


def text_of(content: str, chunk: int) -> JsonText:
    with tempfile.NamedTemporaryFile("wb", suffix=".json", delete=False) as file:
        file.write(content.encode("utf-8", "surrogatepass"))
    return JsonText(Path(file.name), wanted="samples", chunk=chunk)


def items(content: str, chunk: int) -> list[Any]:
    text = text_of(content, chunk)
    assert text.peek() == "["
    found = [*text.items()]
    text.end()
    return found


@QUICK
@given(
    values=st.lists(values, max_size=6),
    chunk=st.integers(1, 40),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
)
def test_a_list_in_chunks_of_any_size(values: list[Any], chunk: int, ascii_only: bool, indent: int | None) -> None:
    content = f" \r\n{json.dumps(values, ensure_ascii=ascii_only, indent=indent)}\n\t"
    try:
        content.encode()
    except UnicodeEncodeError:  # half a character, which JSON files spell with an escape
        content = json.dumps(values)
    assert items(content, chunk) == values


@QUICK
@given(
    values=st.dictionaries(st.text('aé"\\\n{}:', max_size=5), values, min_size=1, max_size=4), chunk=st.integers(1, 40)
)
def test_an_object_in_chunks_of_any_size(values: dict[str, Any], chunk: int) -> None:
    text = text_of(json.dumps(values, ensure_ascii=False), chunk)
    assert text.peek() == "{"
    assert dict(text.members()) == values
    text.end()


@QUICK
@given(
    values=st.lists(st.dictionaries(st.text("ab\n"), st.text("ab\n{}"), max_size=2), min_size=1, max_size=4),
    data=st.data(),
    chunk=st.integers(1, 60),
)
def test_a_fault_is_named_by_its_place(values: list[Any], data: st.DataObject, chunk: int) -> None:
    content = json.dumps(values, indent=1)
    at = data.draw(st.integers(1, len(content) - 1))
    content = content[:at] + data.draw(st.sampled_from(["", "}", "]", '"', ",", "x", "\n"])) + content[at + 1 :]
    whole, line = None, 0
    try:
        whole = json.loads(content)
    except json.JSONDecodeError as error:
        line = error.lineno
    if line:
        with pytest.raises(PathPluginsError, match=r":\d+ is not JSON \(.*, column \d+\)") as caught:
            items(content, chunk)
        if chunk > 20:  # in chunks of a few bytes, Python's own words for the same fault differ
            assert f":{line} is not JSON" in str(caught.value)
    else:
        assert items(content, chunk) == whole


def test_a_character_cut_by_a_chunk_and_bytes_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes("\ufeff[".encode() + '{"a": "größer 🔬"},\n'.encode() * 3 + b'{"a": "\xff"}]')
    for chunk in (1, 2, 3, 5, CHUNK):
        text = JsonText(path, wanted="samples", chunk=chunk) if chunk < CHUNK else None
        with pytest.raises(PathPluginsError, match=r"s\.json:4 is not UTF-8"):
            [*(text or JsonText(path, wanted="samples")).items()]


def test_no_more_than_a_chunk_is_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([{"id": n, "text": "x" * 999} for n in range(2000)]) + "nonsense")
    rows = read_samples(path)
    first = next(rows)
    assert isinstance(first, Row)
    assert first.cells["id"] == 0  # the fault at the end is not known yet
    with pytest.raises(PathPluginsError, match="Extra data"):
        deque(rows, 0)


def test_a_long_object_of_samples_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    samples = {f"k{n}": {"caption": "é" * 500} for n in range(600)}
    path.write_text(json.dumps(samples, ensure_ascii=False), encoding="utf-8")
    assert path.stat().st_size > 2 * CHUNK
    assert [row.cells["id"] for row in read_samples(path) if isinstance(row, Row)] == [*samples]
    path.write_text(json.dumps({"id": "one", "caption": "x" * 3 * CHUNK}))
    (row,) = read_samples(path)
    assert isinstance(row, Row)
    assert row.cells["id"] == "one"


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
def test_values_that_python_does_not_read_are_errors_that_name_the_file(tmp_path: Path, value: str) -> None:
    path = tmp_path / "s.json"
    for text in (f'[{{"id": {value}', f'{{"id": {value}}}', f'{{"a": {{"id": {value}}}}}', f"[{value}]"):
        path.write_text(text)
        with pytest.raises(PathPluginsError, match=r"s\.json"):
            deque(read_samples(path), 0)
    path.with_suffix(".jsonl").write_text(f'{{"id": "a"}}\n{{"id": {value}}}\n')
    rows = [*read_samples(path.with_suffix(".jsonl"))]
    assert isinstance(rows[0], Row)
    assert isinstance(rows[1], BadSample)
