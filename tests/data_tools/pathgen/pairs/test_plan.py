"""The plan of an extraction: the texts of a source by slide."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.pairs.plan import Pair, Plan, PlannedSlide, build_plan, fingerprint_of
from pathplugins.data_tools.records.report import BadRows

A, B = "TCGA-AA-0001-01Z-00-DX1.1a2B", "TCGA-BB-0002-01Z-00-DX1.3c4D"


def row(wsi_id: str, x: object, y: object, caption: str, **more: object) -> dict[str, object]:
    return {"wsi_id": wsi_id, "position": [x, y], "caption": caption, **more}


def instruct(wsi_id: str, x: int, y: int, answer: str, image: str) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": answer}]
    place = {"wsi_id": wsi_id, "position": [str(x), str(y)]}
    return {"id": answer, "image": image, "conversations": turns, "type": "OPEN", **place}


def open_plan(folder: Path, rows: list[dict[str, Any]], *, named: bool = True) -> tuple[Plan, BadRows]:
    source = folder / "rows.json"
    source.write_text(json.dumps(rows))
    with BadRows(folder / "bad.jsonl") as bad:
        build_plan(source, folder / "plan.sqlite", bad, named=named, reserved=frozenset(("state",)))
    return Plan(folder / "plan.sqlite"), bad


def digests(plan: Plan) -> dict[str, str]:
    return {slide.wsi_id: slide.digest for slide in plan.slides()}


def test_rows_come_back_by_slide_in_the_order_of_the_source(tmp_path: Path) -> None:
    rows = [
        row(B, "64", "32", "first of b"),
        row(A, "0", "96", "first of a"),
        {"WSI_id": B.upper(), "position": [64, 32], "caption": "second of b", "file_id": "uuid-b"},
        row(A, "0", "96", "another of a"),
        row(A, "0", "96", "first of a"),
    ]
    plan, bad = open_plan(tmp_path, rows)
    b, a = plan.slides()
    assert (b.wsi_id, b.file_id, b.pairs, b.repeats) == (B, "uuid-b", 2, 0)  # two spellings are one slide
    assert (a.wsi_id, a.file_id, a.pairs, a.repeats) == (A, "", 2, 1)
    assert plan.pairs(b.number) == [Pair(64, 32, "first of b", None), Pair(64, 32, "second of b", None)]
    assert [pair.caption for pair in plan.pairs(a.number)] == ["first of a", "another of a"]
    assert bad.rows == plan.bad == 0
    plan.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_digest_changes_with_the_rows_of_its_slide_alone(tmp_path: Path) -> None:
    rows = [row(A, 0, 0, "one"), row(A, 32, 0, "two"), row(B, 0, 0, "three")]
    before = digests(open_plan(tmp_path, rows)[0])
    assert digests(open_plan(tmp_path, [row("C", 1, 1, "new"), *rows])[0]).items() >= before.items()
    for changed in (
        [rows[0], row(A, 32, 0, "too"), rows[2]],
        [rows[0], row(A, 32, 1, "two"), rows[2]],
        [rows[1], rows[0], rows[2]],
        [rows[0], rows[2]],
    ):
        after = digests(open_plan(tmp_path, changed)[0])
        assert (after[A] != before[A], after[B] == before[B]) == (True, True)


def test_bad_rows_are_collected_with_their_place(tmp_path: Path) -> None:
    rows = [
        row(A, 0, 0, "good"),
        row(A, -1, 0, "left of the slide"),
        row("STATE", 0, 0, "a name of the output folder"),
        row(".hidden", 0, 0, "a hidden one"),
        instruct(A, 32, 64, "good", f"{A}/32_64.jpg"),
        instruct(A, 32, 64, "bad", "elsewhere/32_64.jpg"),
    ]
    plan, bad = open_plan(tmp_path, rows)
    lines = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(line["row"], line["reason"]) for line in lines] == [
        *((2, "bad position"), (3, "slide name"), (4, "slide name"), (6, "image name"))
    ]
    assert f"{A}/32_64.jpg" in lines[-1]["detail"]
    assert bad.rows == plan.bad == 4
    good = plan.pairs(0)
    assert [(pair.caption, pair.sample and pair.sample["id"]) for pair in good] == [("good", None), ("", "good")]
    assert good[1].sample.keys() == {"id", "conversations", "type"}
    plan, bad = open_plan(tmp_path, rows, named=False)  # pictures get other names anyway
    assert bad.rows == 3


def test_a_fingerprint_is_of_the_source_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text("[1]")
    before = fingerprint_of(source, named=True)
    assert fingerprint_of(source, named=True) == before != fingerprint_of(source, named=False)
    source.write_text("[12]")
    assert fingerprint_of(source, named=True) != before
    in_folder = fingerprint_of(tmp_path, named=True)
    (tmp_path / "b.jsonl").write_text("{}")
    assert fingerprint_of(tmp_path, named=True) != in_folder


def test_something_else_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "plan.sqlite").write_text("not a data base, however long this text may be" * 20)
    with pytest.raises(PathPluginsError, match=r"plan\.sqlite is damaged, or no file of pathdata .*delete it"):
        Plan(tmp_path / "plan.sqlite")


def test_only_what_is_damaged_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"unable to open database file; run the same command again"):
        Plan(tmp_path / "not_there.sqlite")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE something (x INTEGER)")
    with pytest.raises(PathPluginsError, match=r"no file of pathdata \(no such table: about\); delete it"):
        Plan(tmp_path / "other.sqlite")
    plan, _ = open_plan(tmp_path, [row(A, number, 3, f"caption {number} " * 40) for number in range(400)])
    plan.close()
    path = tmp_path / "plan.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with Plan(path) as plan:
            assert len(plan.pairs(0)) == 400, "a lock of another process is in nobody's way"
    whole = path.read_bytes()
    path.write_bytes(whole[:24_576] + bytes(len(whole) - 24_576))  # tables begin before, their rows do not
    with Plan(path) as plan, pytest.raises(PathPluginsError, match=r"plan\.sqlite is damaged"):
        plan.pairs(0)


def test_keys_of_slides_ignore_case() -> None:
    slide = PlannedSlide(number=0, wsi_id=B, file_id="", digest="", pairs=1, repeats=0)
    assert slide.key == B.lower()
