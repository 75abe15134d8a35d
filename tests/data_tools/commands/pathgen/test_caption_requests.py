"""``pathdata pathgen caption-requests``: its options, and the command that takes the results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str]]


def test_the_next_command_is_told(pathdata: Run, selected: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    code, said = pathdata("pathgen", "caption-requests", selected, "--out", out, "--part-requests", 4)
    assert code == 0, said
    assert f"6 rows in 2 files: {out}, {tmp_path / 'r-2.jsonl'}" in said
    assert f"pathdata pathgen caption {selected} --responses RESULTS --stages describe --out ..." in said
    assert [len(path.read_text().splitlines()) for path in (out, tmp_path / "r-2.jsonl")] == [4, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--part-requests", 0), "--part-requests must be above 0, got 0; leave it out for OpenAI's limit"),
        (("--part-mb", -1), "--part-mb must be above 0, got -1"),
        (("--prompt", "descibe"), "unknown prompt 'descibe'. Did you mean 'describe'?"),
        (("--max-tokens", 0), "--max-tokens must be at least 1"),
        (("--part-mb", 0.0001), "more than a file of --part-mb 0.0001 may have; raise --part-mb"),
    ],
)
def test_what_cannot_start(
    pathdata: Run, selected: Path, tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    code, said = pathdata("pathgen", "caption-requests", selected, "--out", tmp_path / "r.jsonl", *words)
    assert (code, message in said, (tmp_path / "r.jsonl").exists()) == (2, True, False), said
