"""``pathdata pathgen manifest``: from a JSON to the files of its slides at the GDC (P1, P3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

UPPER = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
LOWER = "TCGA-AA-3844-01Z-00-DX1.bf88ce1f-0601-40c8-813e-4e3df51bd2f0"
HEADER = "id\tfilename\tmd5\tsize\tstate"


def rows(wsi_id: str, count: int = 1, file_id: str | None = None, **cells: Any) -> list[dict[str, Any]]:
    known = {} if file_id is None else {"file_id": file_id}
    return [
        {"wsi_id": wsi_id, "position": [str(32 * number), "0"], "caption": "Glands.", **known, **cells}
        for number in range(count)
    ]


@pytest.fixture
def made(tmp_path: Path, pathdata: Callable[..., tuple[int, str]], gdc: Any) -> Callable[..., Any]:
    """Write a JSON and run the command: exit code, stderr, lines of the manifest."""

    def make(*samples: list[dict[str, Any]], options: tuple[object, ...] = ()) -> tuple[int, str, list[str]]:
        source, out = tmp_path / "PathGen.json", tmp_path / "manifest.txt"
        source.write_text(json.dumps([row for part in samples for row in part]))
        code, said = pathdata("pathgen", "manifest", source, "--out", out, "--api", gdc.url, *options)
        return code, said, out.read_text().splitlines() if out.exists() else []

    return make


def line(gdc: Any, file_id: str) -> str:
    name, content = gdc.files[file_id]
    return "\t".join((file_id, name, gdc.md5(file_id), str(len(content)), "released"))


def test_by_file_id_and_by_name_in_any_case(gdc: Any, made: Any) -> None:
    one, two = gdc.add(1, f"{UPPER}.svs"), gdc.add(2, f"{LOWER}.svs")
    third = gdc.add(3, "TCGA-AH-6547-01Z-00-DX1.73040C3E-8219-4D21-88F2-613218D32297.svs")
    other_case = "TCGA-AH-6547-01Z-00-DX1.73040c3e-8219-4d21-88f2-613218d32297"
    fourth = gdc.add(4, "own.svs")
    code, said, lines = made(rows(UPPER, 3, one.upper()), rows(LOWER, 2), rows(other_case), rows("own.svs"))
    assert (code, lines) == (0, [HEADER, *(line(gdc, name) for name in (one, two, third, fourth))])
    assert "7 patches on 4 slides" in said
    assert [body["filters"]["content"]["field"] for body in gdc.bodies] == ["file_id", "file_name"]
    assert gdc.bodies[0]["filters"]["content"]["value"] == [one]


def test_questions_are_cut_and_answers_paged(gdc: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathplugins.data_tools.pathgen.sources import gdc as of_gdc

    monkeypatch.setattr(of_gdc, "BATCH", 5)
    monkeypatch.setattr(of_gdc, "PAGE", 2)
    ids = [gdc.add(number, f"s{number}.svs") for number in range(12)]
    code, _, lines = made(*(rows(f"s{number}", 1, file_id) for number, file_id in enumerate(ids)))
    assert (code, lines) == (0, [HEADER, *(line(gdc, name) for name in ids)])
    asked = [(len(body["filters"]["content"]["value"]), body["from"]) for body in gdc.bodies]
    assert asked == [(5, 0), (5, 2), (5, 4), (5, 0), (5, 2), (5, 4), (2, 0)]


def test_what_passes_is_tried_again(gdc: Any, made: Any) -> None:
    file_id = gdc.add(1, f"{UPPER}.svs")
    gdc.faults = [(500, {}), (429, {"Retry-After": "0"}), (503, {})]
    code, _, lines = made(rows(UPPER, 1, file_id))
    assert (code, lines[1:]) == (0, [line(gdc, file_id)])
    assert len(gdc.bodies) == 4


def test_retry_after_is_kept_to(gdc: Any, made: Any) -> None:
    import time

    file_id = gdc.add(1, f"{UPPER}.svs")
    gdc.faults = [(429, {"Retry-After": "1"})]
    start = time.monotonic()
    code, _, _ = made(rows(UPPER, 1, file_id))
    assert code == 0
    assert time.monotonic() - start >= 1


def test_an_api_that_stays_broken_says_so_and_writes_nothing(gdc: Any, made: Any) -> None:
    gdc.faults = [(500, {})] * 50
    code, said, lines = made(rows(UPPER, 1, gdc.add(1, f"{UPPER}.svs")))
    assert (code, lines) == (2, [])
    assert f"{gdc.url}/files cannot be reached" in said
    assert "pass --offline to go by file_id alone" in said


def test_a_refused_question_shows_the_answer(gdc: Any, made: Any) -> None:
    gdc.faults = [(400, {})]
    code, said, _ = made(rows(UPPER))
    assert code == 2
    assert "400" in said
    assert "a fault" in said


def test_what_is_no_gdc_is_told(gdc: Any, made: Any) -> None:
    gdc.faults = [(200, {})]
    code, said, _ = made(rows(UPPER))
    assert code == 2
    assert "'a fault', which is not JSON" in said


def test_unknown_slides_are_named_once_with_their_patches_and_the_rest_is_written(
    gdc: Any, made: Any, tmp_path: Path
) -> None:
    file_id = gdc.add(1, f"{UPPER}.svs")
    code, said, lines = made(rows(UPPER, 2), rows("lost", 3), rows("LOST", 4), rows("gone", 1, "no-uuid"))
    assert (code, lines) == (1, [HEADER, line(gdc, file_id)])
    assert said.count("lost: ") == 1
    assert "  lost: 4 patches" in said  # three of the seven are repeats
    assert (tmp_path / "manifest.txt.missing.tsv").read_text() == "wsi_id\tpatches\nlost\t4\ngone\t1\n"


def test_a_file_id_of_another_slide_does_not_bring_that_slide(gdc: Any, made: Any) -> None:
    wrong, right = gdc.add(1, "other.svs"), gdc.add(2, f"{UPPER}.svs")
    code, _, lines = made(rows(UPPER, 1, wrong))
    assert (code, lines[1:]) == (0, [line(gdc, right)])
    code, said, lines = made(rows(LOWER, 1, wrong), options=("--overwrite",))
    assert (code, lines[1:]) == (1, [])
    assert f"{LOWER}: its file_id {wrong} belongs to other.svs" in said


def test_files_that_cannot_be_chosen_or_had(gdc: Any, made: Any) -> None:
    first, second = gdc.add(1, "twice.svs"), gdc.add(2, "twice.svs")
    gdc.controlled = {gdc.add(3, "closed.svs")}
    same = gdc.add(4, "same.svs", b"equal")
    gdc.add(5, "same.svs", b"equal")
    code, said, lines = made(rows("twice"), rows("closed"), rows("same"))
    assert (code, len(lines)) == (1, 2)
    assert gdc.md5(same) in lines[1]
    assert f"twice: different files have its name: {first} and {second}" in said
    assert "closed: 00000000-0000-4000-8000-000000000003 is under controlled access" in said


def test_slides_that_are_there_are_left_out(gdc: Any, made: Any, tmp_path: Path) -> None:
    there, absent = gdc.add(1, f"{UPPER}.svs"), gdc.add(2, f"{LOWER}.svs")
    slide = tmp_path / "slides" / there / f"{UPPER.lower()}.SVS"
    slide.parent.mkdir(parents=True)
    slide.write_bytes(b"slide")
    code, said, lines = made(rows(UPPER), rows(LOWER), options=("--slides", tmp_path / "slides"))
    assert (code, lines[1:]) == (0, [line(gdc, absent)])
    assert "1 more are below --slides already" in said


def test_offline_asks_nobody_and_says_that_nothing_can_be_verified(gdc: Any, made: Any) -> None:
    file_id = gdc.add(1, f"{UPPER}.svs")
    other = gdc.add(2, "x.svs")
    code, said, lines = made(
        *(rows(UPPER, 2, file_id), rows("slide.tif", 1, other), rows(LOWER, 5)),
        *([*rows("two", 1, file_id), *rows("TWO", 1, other, caption="Other.")],),
        options=("--offline",),
    )
    assert gdc.bodies == []
    assert (code, lines) == (1, [HEADER, f"{file_id}\t{UPPER}.svs\t\t\t", f"{other}\tslide.tif\t\t\t"])
    assert "downloads cannot be verified" in said
    assert f"{LOWER}: 5 patches" in said
    assert f"two: its file_id is {file_id} and {other}; expected one UUID" in said


def test_bad_rows_are_reported_together_and_the_rest_is_written(gdc: Any, made: Any, tmp_path: Path) -> None:
    file_id = gdc.add(1, f"{UPPER}.svs")
    code, said, lines = made(rows(UPPER, 2, file_id), rows(UPPER, 1, position=["x", 1]), rows(LOWER, 1, caption=""))
    assert (code, lines[1:]) == (1, [line(gdc, file_id)])
    assert "2 of 4 samples cannot be used: 1 x bad position, 1 x empty caption" in said
    assert f"{tmp_path / 'PathGen.json'}:3: bad position" in said
    assert len((tmp_path / "manifest.txt.bad.jsonl").read_text().splitlines()) == 2


def test_only_bad_rows_write_nothing(gdc: Any, made: Any) -> None:
    code, said, lines = made(rows(UPPER, 1, caption=""))
    assert (code, lines) == (1, [])
    assert "no row can be used" in said


def test_a_file_that_is_there_stays(gdc: Any, made: Any, tmp_path: Path) -> None:
    (tmp_path / "manifest.txt").write_text("mine")
    code, said, lines = made(rows(UPPER))
    assert (code, lines) == (2, ["mine"])
    assert "--overwrite" in said


def test_the_source_is_never_overwritten(tmp_path: Path, pathdata: Callable[..., tuple[int, str]]) -> None:
    source = tmp_path / "in.json"
    source.write_text(json.dumps(rows(UPPER)))
    code, said = pathdata("pathgen", "manifest", source, "--out", source, "--offline", "--overwrite")
    assert code == 2
    assert "is the source itself" in said
    assert json.loads(source.read_text()) == rows(UPPER)
