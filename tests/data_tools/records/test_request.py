"""Requests of a conversion: options of the reader, folders of images, and how images are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.records.request import Request, checks_images, image_paths, open_stream

TURNS = [{"from": "human", "value": "<image>\nWas?"}, {"from": "gpt", "value": "Fett."}]


def request(folder: Path, **more: Any) -> Request:
    (folder / "in.json").write_text(json.dumps([{"id": "a", "image": "x/a.b.png", "conversations": TURNS}]))
    return Request(**{"source": folder / "in.json", "out": folder / "out.jsonl", "format_name": "llava", **more})


def images(made: Request) -> list[str]:
    return [image for record in open_stream(made) for image in record.images]  # type: ignore[union-attr]


def test_without_a_folder_paths_are_copied_unchecked(tmp_path: Path) -> None:
    made = request(tmp_path, to="llava")
    assert images(made) == ["x/a.b.png"]
    assert not checks_images(made, open_stream(made))
    assert images(request(tmp_path, to="llava", image_suffix=".h5")) == ["x/a.b.h5"]


def test_with_a_folder_they_are_looked_up_in_it(tmp_path: Path) -> None:
    made = request(tmp_path, image_folder=tmp_path)
    assert images(made) == [str(tmp_path / "x" / "a.b.png")]
    assert checks_images(made, open_stream(made))
    assert image_paths(made)(str(tmp_path / "x" / "a.b.png")) == "x/a.b.png"
    assert image_paths(made)("/elsewhere/a.png") == "/elsewhere/a.png"


def test_images_beside_the_source_are_relative_to_the_output(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    made = request(tmp_path, to="llava", out=tmp_path / "link" / "out.jsonl")
    assert image_paths(made)(str(tmp_path / "x" / ".." / "a.png")) == "../a.png"
    assert image_paths(made)(str(tmp_path / "link" / "b" / "a.png")) == "b/a.png"


def test_options_of_another_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\n")
    options = {"ids": tmp_path / "ids.txt", "split": None, "seed": None}
    assert images(request(tmp_path, to="llava", options=options)) == ["x/a.b.png"]
    with pytest.raises(
        PathPluginsError, match=r"--split, --seed: not an option of llava, which has --ids; leave it out"
    ):
        open_stream(request(tmp_path, to="llava", options={**options, "split": "train", "seed": 0}))
    with pytest.raises(PathPluginsError, match=r"--image-folder .*nowhere: no such folder; name the folder"):
        open_stream(request(tmp_path, image_folder=tmp_path / "nowhere"))
