"""Pairs of PathGen as records: manifests, published JSON, conversations as they stand (P1, P5, P26, P28)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.pathgen import read_pathgen
from pathplugins.data.prompts import PATCH_CAPTION_REQUESTS

WSI = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
PAIR = {
    "image": f"{WSI}/32_64.jpg",
    "wsi_id": WSI,
    "x": 32,
    "y": 64,
    "caption": "Glands, größer.",
    "file_id": "734d4a72",
    "size": 672,
    "mpp": 0.25,
    "mpp_source": "slide",
}
START = [{"from": "human", "value": "<image>\nWhat is shown?"}, {"from": "gpt", "value": "Glands."}]
END = [
    *({"from": "human", "value": "Which?\nA) Glands\nB) Fat\n<image>"}, {"from": "gpt", "value": "A"}),
    *({"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Lumina."}),
]
ASKED = {"image": f"{WSI}/0_0.jpg", "wsi_id": WSI, "x": 0, "y": 0, "id": "107770", "type": "CLOSE"}
RAW = {"wsi_id": WSI, "position": ["32", "64"], "caption": "Glands, größer.", "file_id": "734d4a72"}
RAW_ASKED = {**ASKED, "position": ["0", "0"], "conversations": END}


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_p26_a_pair_of_a_manifest_becomes_a_request_and_its_caption(tmp_path: Path) -> None:
    (record,), bad = read_pathgen(lines(tmp_path / "manifest.jsonl", PAIR))
    assert not bad
    assert record.id == f"{WSI}_32_64"
    assert record.images == (str(tmp_path / WSI / "32_64.jpg"),)
    asked, answered = record.conversations
    assert {"<image>"} < {*asked.text.split("\n")} <= {"<image>", *PATCH_CAPTION_REQUESTS}
    assert (answered.role, answered.text) == ("assistant", PAIR["caption"])
    assert record.meta == {"wsi_id": WSI, "x": "32", "y": "64", "mpp": "0.25", "file_id": "734d4a72"}


def test_the_request_is_drawn_by_seed_and_place_alone(tmp_path: Path) -> None:
    many = [{**PAIR, "x": 32 * number, "image": f"{number}.jpg"} for number in range(200)]
    first, _ = read_pathgen(lines(tmp_path / "a.jsonl", *many))
    again, _ = read_pathgen(lines(tmp_path / "b.jsonl", *({**row, "image": f"./{row['image']}"} for row in many[::-1])))
    other, _ = read_pathgen(tmp_path / "a.jsonl", seed=1)

    def asked(records: list[Any]) -> dict[str, str]:
        return {record.id: record.conversations[0].text for record in records}

    assert asked(first) == asked(again)
    assert len({*asked(first).values()}) > 20
    assert sum(asked(first)[name] != asked(other)[name] for name in asked(first)) > 150


@pytest.mark.parametrize("turns", [START, END], ids=["start", "end"])
def test_p28_conversations_keep_the_image_where_it_stands(tmp_path: Path, turns: list[dict[str, str]]) -> None:
    (record,), bad = read_pathgen(lines(tmp_path / "manifest.jsonl", {**ASKED, "conversations": turns}))
    assert not bad
    assert record.id == "107770"
    assert [turn.text for turn in record.conversations] == [turn["value"] for turn in turns]
    assert (record.meta["type"], record.meta["wsi_id"]) == ("CLOSE", WSI)


def test_a_folder_with_a_manifest_is_read_by_it_alone(tmp_path: Path) -> None:
    lines(tmp_path / "manifest.jsonl", PAIR)
    (tmp_path / "other.json").write_text("[1]")
    records, bad = read_pathgen(tmp_path)
    assert (len(records), bad) == (1, [])
    assert records[0].source == str(tmp_path / "manifest.jsonl")


def test_images_of_captions_elsewhere_are_found_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "captioned").mkdir()
    path = lines(tmp_path / "captioned" / "captions.jsonl", {**PAIR, "image": "../selected/s/1_2.jpg", "captions": {}})
    (record,), _ = read_pathgen(path)
    assert record.images == (str(tmp_path / "captioned/../selected/s/1_2.jpg"),)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**PAIR, "caption": ""}, "no caption"),
        ({key: value for key, value in PAIR.items() if key != "caption"}, "no caption"),
        ({**PAIR, "image": None}, "no image"),
        ({**PAIR, "image": None, "shard": "a.tar", "key": "a_1_2"}, "no image"),
        ({**PAIR, "caption": "An <image>."}, "misplaced placeholder"),
        ({**ASKED, "conversations": START[:1]}, "turn order"),
    ],
)
def test_bad_rows(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    records, (bad,) = read_pathgen(lines(tmp_path / "manifest.jsonl", PAIR, row))
    assert len(records) == 1
    assert (bad.row, bad.reason) == (2, reason)
    assert ("extract again without --format webdataset" in bad.detail) == ("shard" in row)


def test_several_captions_of_a_place_are_several_samples(tmp_path: Path) -> None:
    records, _ = read_pathgen(lines(tmp_path / "manifest.jsonl", PAIR, {**PAIR, "caption": "Other."}))
    assert [record.id for record in records] == [f"{WSI}_32_64#1", f"{WSI}_32_64#2"]


@pytest.mark.parametrize(
    ("naming", "captioned", "asked"),
    [("slide", f"{WSI}/32_64.jpg", f"{WSI}/0_0.jpg"), ("flat", f"{WSI}_32_64.png", f"{WSI}_0_0.png")],
)
def test_p5_the_published_json_beside_pictures_of_either_naming(
    tmp_path: Path, naming: str, captioned: str, asked: str
) -> None:
    (tmp_path / "raw.json").write_text(json.dumps([RAW, RAW_ASKED, {**RAW, "position": "?"}]))
    records, (bad,) = read_pathgen(tmp_path / "raw.json", media_dir=tmp_path / "pictures", naming=naming)
    assert [record.images for record in records] == [
        (str(tmp_path / "pictures" / captioned),),
        (str(tmp_path / "pictures" / asked),),
    ]
    assert [record.id for record in records] == [f"{WSI}_32_64", "107770"]
    assert records[1].conversations[0].text == END[0]["value"]
    assert (bad.row, bad.reason) == (3, "no position")


def test_a_manifest_and_the_published_json_give_the_same_requests(tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(json.dumps([RAW]))
    (one,), _ = read_pathgen(tmp_path / "raw.json")
    (two,), _ = read_pathgen(lines(tmp_path / "manifest.jsonl", PAIR))
    assert (one.id, one.conversations, one.images) == (two.id, two.conversations, two.images)


def test_exact_repeats_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "raw.json").write_text(json.dumps([RAW, {**RAW, "WSI_id": WSI}, {**RAW, "caption": "Other."}]))
    with caplog.at_level(logging.WARNING):
        records, _ = read_pathgen(tmp_path / "raw.json")
    assert len(records) == 2
    assert "1 rows are exact repeats and left out" in caplog.text


def test_selection(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text(f"{WSI}_32_64\n")
    path = lines(tmp_path / "manifest.jsonl", PAIR, {**PAIR, "x": 5, "caption": "One two three."})
    assert [record.id for record in read_pathgen(path, ids=tmp_path / "ids.txt")[0]] == [f"{WSI}_32_64"]
    assert [record.id for record in read_pathgen(path, min_words=3)[0]] == [f"{WSI}_5_64"]


def test_an_unknown_naming(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="naming is 'deep', expected slide or flat"):
        read_pathgen(tmp_path, naming="deep")
