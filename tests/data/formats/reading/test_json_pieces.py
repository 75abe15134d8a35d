"""Files cut into pieces: together they hold what the file holds, or one of them says that a cut was wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.data.formats.reading.json_pieces import WrongCutError, cut, read_piece

texts = st.text('ab"\\{}[],: \né🔬', max_size=12)
samples = st.fixed_dictionaries(
    {"id": texts, "turns": st.lists(st.fixed_dictionaries({"id": texts}), max_size=2)}, optional={"more": texts}
)


def file_of(content: str, suffix: str = ".json") -> Path:
    with tempfile.NamedTemporaryFile("wb", suffix=suffix, delete=False) as file:
        file.write(content.encode())
    return Path(file.name)


def together(path: Path, size: int) -> list[dict[str, Any]]:
    return [row.cells for piece in cut(path, size) for row in read_piece(path, piece)]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    values=st.lists(samples, min_size=3, max_size=12),
    size=st.integers(8, 80),
    indent=st.sampled_from([None, 1]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_pieces_hold_all_samples_in_order_or_say_so(
    values: list[Any], size: int, indent: int | None, mark: str
) -> None:
    path = file_of(f"{mark}{json.dumps(values, indent=indent, ensure_ascii=False)}\n")
    try:
        found = together(path, size)
    except WrongCutError:
        return
    assert found in ([], values)
    lines = file_of("".join(f"{json.dumps(value)}\n\n" for value in values), ".jsonl")
    assert together(lines, size) in ([], values)


def test_plain_files_are_cut() -> None:
    values = [{"id": str(n), "text": "x" * (n % 7), "turns": [{"from": "é"}]} for n in range(500)]
    for content, suffix in (
        (json.dumps(values), ".json"),
        (json.dumps(values, indent=2), ".json"),
        ("\n".join(map(json.dumps, values)), ".jsonl"),
    ):
        path = file_of(content, suffix)
        assert len(cut(path, 1000)) >= 10
        assert together(path, 1000) == values


def test_a_cut_inside_of_a_text_is_noticed() -> None:
    trap = '}, {"id": "'  # what stands between two samples
    path = file_of(
        json.dumps([{"id": "a"}, {"id": "b"}, *({"id": f"{n}{trap * 40}"} for n in range(20))]).replace('\\"', '"')
    )
    with pytest.raises(WrongCutError):
        together(path, 300)


@pytest.mark.parametrize("content", ["[]", "{}", '{"a": {"b": 1}}', "[1, 2, 3]", '[{"a": 1}', '[{"a": 1}]x', "", "x"])
def test_what_is_not_cut(content: str) -> None:
    assert cut(file_of(content), 1) == []
    assert cut(Path("nowhere.json"), 1) == []
