"""Rows of PathGen: what is read, what is refused and where, what counts as the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import slide_key
from pathplugins.data.formats.reading.placed import Placed, Seen, read_placed
from pathplugins.data.records import BadSample

LOWER = "TCGA-AA-3844-01Z-00-DX1.bf88ce1f-0601-40c8-813e-4e3df51bd2f0"
UPPER = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
CAPTION = {"wsi_id": LOWER, "position": ["35136", "33344"], "caption": "Glands.", "file_id": "bffacf34"}
INSTRUCT = {
    "id": "107770",
    "image": f"{UPPER}/17120_34976.jpg",
    "conversations": [{"from": "human", "value": "What is shown?\n<image>"}, {"from": "gpt", "value": "A"}],
    "type": "CLOSE",
    "wsi_id": UPPER,
    "file_id": "734d4a72",
    "position": ["17120", "34976"],
}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return path


def read(tmp_path: Path, *rows: Any) -> list[Placed | BadSample]:
    return list(read_placed(write(tmp_path / "rows.json", [*rows])))


def changed(**cells: Any) -> dict[str, Any]:
    return {key: value for key, value in {**CAPTION, **cells}.items() if value is not ...}


def test_a_caption_row_keeps_the_whole_id_and_its_case(tmp_path: Path) -> None:
    (placed,) = read(tmp_path, CAPTION)
    source = str(tmp_path / "rows.json")
    assert placed == Placed(LOWER, 35136, 33344, "bffacf34", "Glands.", None, source, 1)


def test_the_other_spelling_and_a_row_without_file_id(tmp_path: Path) -> None:
    (placed,) = read(tmp_path, changed(wsi_id=..., WSI_id=UPPER, file_id=...))
    assert (placed.wsi_id, placed.file_id) == (UPPER, "")


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (["0", "216512"], (0, 216512)),
        ([32, 64], (32, 64)),
        (["35136.0", 64.0], (35136, 64)),
        ([" 12 ", "0012"], (12, 12)),
        (["2147483647", 0], (2147483647, 0)),
    ],
    ids=str,
)
def test_positions_that_are_pixels(tmp_path: Path, position: list[Any], place: tuple[int, int]) -> None:
    (placed,) = read(tmp_path, changed(position=position))
    assert (placed.x, placed.y) == place
    assert type(placed.x) is type(placed.y) is int


@pytest.mark.parametrize(
    "position",
    [
        *(["-1", "2"], ["2", -32], ["1.5", 2], ["x", 2], ["1_000", 2], [True, 2], ["nan", 2], ["inf", 2], [None, 2]),
        *(["2147483648", 0], ["9" * 5000, "1"], [1e300, 1], ["²", "1"], [[1], 2]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_positions_that_are_none(tmp_path: Path, position: list[Any]) -> None:
    (bad,) = read(tmp_path, changed(position=position))
    assert bad.reason == "bad position"
    assert "expected two whole numbers of level-0 pixels" in bad.detail


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (changed(wsi_id=...), "no slide"),
        (changed(wsi_id=""), "no slide"),
        (changed(wsi_id="../../etc/passwd"), "no slide"),
        (changed(wsi_id="a\\b"), "no slide"),
        (changed(wsi_id=".."), "no slide"),
        (changed(wsi_id="a\nb"), "no slide"),
        (changed(wsi_id=["a"]), "not text"),
        (changed(position=...), "no position"),
        (changed(position="1,2"), "no position"),
        (changed(position=[1, 2, 3]), "no position"),
        (changed(caption=...), "empty caption"),
        (changed(caption="  "), "empty caption"),
        (changed(caption=None), "empty caption"),
        (changed(caption="half \ud83d"), "unreadable text"),
        ("text", "malformed row"),
        ({**INSTRUCT, "conversations": []}, "no conversation"),
        ({**INSTRUCT, "conversations": INSTRUCT["conversations"][:1]}, "turn order"),
        ({**INSTRUCT, "conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}, None),
    ],
)
def test_a_bad_row_names_file_and_row_and_the_others_are_read(tmp_path: Path, row: Any, reason: str | None) -> None:
    good, bad, after = read(tmp_path, CAPTION, row, INSTRUCT)
    assert (good.row, after.row) == (1, 3)
    assert (bad.source, bad.row, bad.reason) == (str(tmp_path / "rows.json"), 2, reason or "placeholder count")


def test_rows_of_pathgen_instruct_keep_their_conversation_where_the_image_stands(tmp_path: Path) -> None:
    (placed,) = read(tmp_path, INSTRUCT)
    assert placed.caption == ""
    assert placed.sample == {key: INSTRUCT[key] for key in ("id", "image", "conversations", "type")}
    assert (placed.wsi_id, placed.x, placed.y, placed.file_id) == (UPPER, 17120, 34976, "734d4a72")


def test_a_row_of_pathgen_instruct_without_a_picture_gets_the_published_name(tmp_path: Path) -> None:
    (placed,) = read(tmp_path, {key: value for key, value in INSTRUCT.items() if key not in ("image", "id")})
    assert placed.sample["image"] == INSTRUCT["image"]
    assert "id" not in placed.sample


def test_json_lines_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(f"{json.dumps(CAPTION)}\n\n{json.dumps(INSTRUCT)}\n")
    write(tmp_path / "a.json", [CAPTION])
    assert [(Path(placed.source).name, placed.row) for placed in read_placed(tmp_path)] == [
        *(("a.json", 1), ("b.jsonl", 1), ("b.jsonl", 3))
    ]


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f"[{json.dumps(CAPTION)}, {json.dumps(CAPTION)}, broken")
    rows = read_placed(path)
    assert next(rows).row == 1
    with pytest.raises(PathPluginsError, match=r"rows\.json:1 is not JSON"):
        list(rows)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (LOWER, LOWER.casefold()),
        (LOWER.upper(), LOWER.casefold()),
        (f"{UPPER}.svs", UPPER.casefold()),
        (f"{UPPER}.SVS", UPPER.casefold()),
        ("slide.v2", "slide.v2"),
        ("a.svs.tif", "a.svs"),
    ],
)
def test_spellings_of_one_slide_share_a_key(name: str, key: str) -> None:
    assert slide_key(name) == key


def test_exact_repeats_are_told_whatever_the_spelling(tmp_path: Path) -> None:
    seen = Seen()
    rows = [
        *(CAPTION, changed(wsi_id=LOWER.upper()), changed(caption="Other."), changed(position=[35136, 33345])),
        *(INSTRUCT, {**INSTRUCT, "id": "other"}, changed(wsi_id=UPPER), changed(position=["35136", 33344])),
    ]
    assert [seen.add(placed) for placed in read(tmp_path, *rows)] == [True, False, True, True, True, False, True, False]
    assert seen.repeats == 3
    turns = [INSTRUCT["conversations"][0], {"from": "gpt", "value": "B"}]
    assert seen.add(*read(tmp_path, {**INSTRUCT, "conversations": turns}))


def test_the_suffixes_are_those_the_data_tools_look_for(tmp_path: Path) -> None:
    from pathplugins.core.suffixes import SLIDE_SUFFIXES
    from pathplugins.data_tools.slides.find import find_slides

    assert len(SLIDE_SUFFIXES) >= 14
    for number, suffix in enumerate(SLIDE_SUFFIXES):
        (tmp_path / f"{number}").mkdir()  # of pictures beside slides only the slides are taken
        (tmp_path / f"{number}" / f"Slide.{number}{suffix.upper()}").touch()
    found = find_slides([tmp_path], outside=tmp_path / "out")
    assert {slide_key(path.name) for path in found} == {f"slide.{number}" for number in range(len(SLIDE_SUFFIXES))}
