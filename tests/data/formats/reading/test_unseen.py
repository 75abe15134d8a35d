"""Samples about videos and sounds are told in every format and in both trainers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data.formats import READERS
from pathplugins.data.formats.reading.unseen import is_unseen_file, unseen_key

TURNS = [{"from": "human", "value": "What happens?"}, {"from": "gpt", "value": "A biopsy."}]
JSON_FORMATS = ("llava", "sharegpt", "pallava_captions", "path_cap", "pubmedvision", "slidechat", "wsi_bench", "record")


@pytest.mark.parametrize("name", JSON_FORMATS)
@pytest.mark.parametrize("key", ["video", "Videos", "audio_path"])
def test_a_sample_about_a_video_is_bad(name: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.json"
    sample = {"id": "7", "image": "a.png", "caption": "Skin.", "question": "What?", "conversations": TURNS}
    path.write_text(json.dumps([{**sample, key: "a.mp4"}]))
    records, bad = READERS.get(name)(path)
    assert (records, [(b.row, b.reason) for b in bad]) == ([], [(1, "unsupported content")])
    assert f"{key} is 'a.mp4'" in bad[0].detail


def test_a_table_with_a_video_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["image_path", "caption", "subset", "video"], ["a.png", "x", "quilt", "v.mp4"]])
    _, bad = READERS.get("quilt_1m")(path)
    assert [(b.row, b.reason) for b in bad] == [(2, "unsupported content")]


@pytest.mark.parametrize("mark", ["<video>", "<audio>"])
@pytest.mark.parametrize("more", [[], TURNS])
def test_a_question_about_a_video_is_bad_without_any_key(mark: str, more: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "mix.json"
    path.write_text(json.dumps([{"conversations": [{"from": "human", "value": f"{mark}\nWhat?"}, TURNS[1], *more]}]))
    _, bad = READERS.get("llava")(path)
    assert [(b.reason, mark in b.detail) for b in bad] == [("unsupported content", True)]


def test_empty_cells_and_other_keys_are_no_media() -> None:
    assert unseen_key({"video": None, "audio": [], "videos": "", "video_id": "x", "audience": "y"}) is None
    assert unseen_key({"a": 1, "SPEECH": {"bytes": "x"}}) == "SPEECH"
    assert (is_unseen_file("x/a.MOV"), is_unseen_file("video.png")) == (True, False)
