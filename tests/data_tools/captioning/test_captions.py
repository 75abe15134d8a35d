"""All stages of every row: in the order of the manifest, however long each takes, and stopped at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data_tools.captioning.captions import StageAsker, caption_rows
from pathplugins.data_tools.captioning.client import UnusableServerError
from pathplugins.data_tools.captioning.replies import Answer, RowFailedError
from pathplugins.data_tools.captioning.result_files import Captioned, Missed
from pathplugins.data_tools.captioning.rows import PatchRow
from pathplugins.data_tools.captioning.stages import Stage

STAGES = [
    Stage(name="one", template="{x}", image=True),
    Stage(name="two", template="again: {description}", image=False),
]


def rows(folder: Path, count: int) -> list[PatchRow]:
    (folder / "a.png").write_bytes(b"\x89PNG")
    return [
        PatchRow(source="m", number=n, cells={"x": n, "caption": "Old."}, image=folder / "a.png") for n in range(count)
    ]


class Results(list):
    """Takes outcomes in place of files."""

    put = list.append


def captioned(rows: list[PatchRow], answer: Any, threads: int = 4) -> Results:
    class Source:
        def answer(self, prompt: str, image: bytes | None) -> Answer:
            return answer(prompt, image)

    results, askers = Results(), [StageAsker(stage, Source()) for stage in STAGES]  # type: ignore[arg-type]
    caption_rows(rows, askers, results, total=len(rows), threads=threads, stop=threading.Event())  # type: ignore[arg-type]
    return results


def test_the_order_is_that_of_the_manifest(tmp_path: Path) -> None:
    def answer(prompt: str, image: bytes | None) -> Answer:
        time.sleep(0.02 if prompt == "3" else 0)
        return Answer(f"<{prompt}, {image is not None}>", "m")

    results = captioned(rows(tmp_path, 30), answer)
    assert [outcome.row.number for outcome in results] == [*range(30)]
    assert all(isinstance(outcome, Captioned) for outcome in results)
    assert results[3].captions == {"original": "Old.", "one": "<3, True>", "two": "<again: <3, True>, False>"}
    assert results[3].models == {"one": "m", "two": "m"}


def test_a_row_ends_at_the_stage_that_fails(tmp_path: Path) -> None:
    def answer(prompt: str, image: bytes | None) -> Answer:
        if prompt == "1":
            raise RowFailedError("timeout", "no reply")
        return Answer("No.", "m", "refusal") if prompt == "again: x" else Answer("x", "m")

    first, second = captioned(rows(tmp_path, 2), answer)
    assert isinstance(first, Missed)
    assert (first.stage, first.refused, first.reason, first.captions["one"]) == ("two", True, "refusal", "x")
    assert (second.stage, second.refused, second.reason, second.text) == ("one", False, "timeout", "no reply")
    gone = rows(tmp_path, 1)
    (tmp_path / "a.png").unlink()
    assert captioned(gone, answer)[0].reason == "unreadable file"


def test_an_unusable_server_ends_the_run(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(prompt: str, image: bytes | None) -> Answer:
        asked.append(prompt)
        raise UnusableServerError("http://a: 401")

    with pytest.raises(UnusableServerError, match="401"):
        captioned(rows(tmp_path, 500), answer)
    assert len(asked) < 100
