"""Image captions (features A5 to A8)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data.formats.pallava_captions import read_pallava_captions
from pathplugins.data.prompts import PATCH_CAPTION_REQUESTS


def write(tmp_path: Path, samples: list[dict[str, Any]], name: str = "in.json") -> Path:
    path = tmp_path / name
    lines = "".join(f"{json.dumps(sample)}\n" for sample in samples)
    path.write_text(lines if name.endswith("l") else json.dumps(samples))
    return path


MANY = [{"image": f"x/{number}.v1.jpg", "caption": f"Caption {number}."} for number in range(600)]


@pytest.mark.parametrize("name", ["in.json", "in.jsonl"])
def test_a6_requests_and_places_are_drawn(tmp_path: Path, name: str) -> None:
    records, bad = read_pallava_captions(write(tmp_path, MANY, name))
    assert not bad
    assert [record.id for record in records] == [f"{number}.v1" for number in range(600)]  # the whole stem
    lines = [record.conversations[0].text.split("\n") for record in records]
    assert all(len(pair) == 2 and "<image>" in pair for pair in lines)
    first = sum(pair[0] == "<image>" for pair in lines)
    assert 240 < first < 360
    asked = Counter(next(line for line in pair if line != "<image>") for pair in lines)
    assert set(asked) == {*PATCH_CAPTION_REQUESTS}
    assert records[5].conversations[1].text == "Caption 5."
    assert records[5].images == (str(tmp_path / "x/5.v1.jpg"),)


def test_a6_the_seed_decides_and_the_order_does_not(tmp_path: Path) -> None:
    def texts(samples: list[dict[str, Any]], **options: Any) -> dict[str, str]:
        records, _ = read_pallava_captions(write(tmp_path, samples), **options)
        return {record.id: record.conversations[0].text for record in records}

    first = texts(MANY)
    assert texts(MANY[::-1]) == first
    assert texts(MANY, seed=0) == first
    other = texts(MANY, seed=1)
    assert sum(first[name] != other[name] for name in first) > 500


def test_a6_pinned() -> None:
    """Pinned, because a change would change the training set."""
    from pathplugins.data.formats.reading.captions import caption_draft
    from pathplugins.data.formats.reading.rows import Row

    make = caption_draft(seed=3)
    texts = [make(Row("s", 1, {"image": f"{n}.jpg", "caption": "c"})).conversations[0].text for n in range(3)]
    assert texts == [
        "<image>\nPlease write a caption for this image of tissue.",
        "Please interpret this histology image.\n<image>",
        "Please write a caption for this image of tissue.\n<image>",
    ]


def test_a6_ids_stay_unique(tmp_path: Path) -> None:
    samples = [
        {"image": "a/1.jpg", "caption": "x"},
        {"image": "b/1.png", "caption": "y"},
        {"image": "c.jpg", "caption": "z", "id": 5},
    ]
    assert [record.id for record in read_pallava_captions(write(tmp_path, samples))[0]] == ["1#1", "1#2", "5"]


def test_all_bad_rows_at_once(tmp_path: Path) -> None:
    samples: list[dict[str, Any]] = [
        {"image": "a.jpg", "caption": ""},
        {"image": "a.jpg"},
        {"caption": "x"},
        {"image": ["a.jpg"], "caption": "x"},
        {"image": "a.jpg", "caption": "an <image> here"},
        {"image": "b.jpg", "caption": " fine\n"},
    ]
    records, bad = read_pallava_captions(write(tmp_path, samples))
    assert [(record.row, record.conversations[1].text) for record in records] == [(6, "fine")]
    assert [(sample.row, sample.reason) for sample in bad] == [
        *((1, "empty answer"), (2, "empty answer"), (3, "no image"), (4, "not text"), (5, "misplaced placeholder"))
    ]
