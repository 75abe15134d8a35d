"""PathCap, whose fields are not documented (P19)."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.path_cap import read_path_cap


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (json.dumps([{"image": "a.jpg", "caption": "Glands."}]), "a.json"),
        (json.dumps({"7": {"img_path": "a.jpg", "text": "Glands."}}), "a.json"),
        (json.dumps({"Filename": "a.jpg", "Caption": "Glands.", "id": "a"}) + "\n", "a.jsonl"),
        ("image_name,caption\na.jpg,Glands.\n", "a.csv"),
        ("id\timg\tdescription\n1\ta.jpg\tGlands.\n", "a.tsv"),
    ],
)
def test_p19_likely_names_are_found_and_said(
    tmp_path: Path, content: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_text(content)
    with caplog.at_level(logging.WARNING):
        (record,), bad = read_path_cap(tmp_path / name, media_dir=tmp_path / "images")
    assert not bad
    assert record.images == (str(tmp_path / "images" / "a.jpg"),)
    assert record.conversations[1].text == "Glands."
    assert "for the images and" in caplog.text


def test_conversations_are_taken_as_they_are(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "What?\n<image>"}, {"from": "gpt", "value": "Glands."}]
    (tmp_path / "a.json").write_text(json.dumps([5, {"id": "1", "image": "a.jpg", "conversations": turns}]))
    (record,), (bad,) = read_path_cap(tmp_path / "a.json")
    assert record.conversations[0].text == "What?\n<image>"
    assert bad.row == 1


def test_rows_without_the_field_are_bad(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"image": "a", "caption": "b"}, {"image": "a"}, {"caption": "b"}]))
    records, bad = read_path_cap(tmp_path / "a.json")
    assert (len(records), [sample.reason for sample in bad]) == (1, ["empty answer", "no image"])


def test_no_likely_name_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"image": "a.jpg", "words": "Glands."}]))
    with pytest.raises(PathPluginsError, match=r"no field for captions; the first sample has image, words, expected"):
        read_path_cap(tmp_path / "a.json")
