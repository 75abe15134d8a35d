"""Records of finished slides: what they list, whether it exists, and that other settings are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.pairs.finished import (
    FinishedSlide,
    caption_name,
    check_settings,
    files_exist,
    files_of,
    finished_path,
    read_finished,
    remove_files,
    write_finished,
)
from pathplugins.data_tools.pathgen.pairs.options import PairOptions


def finished(work: Path, options: PairOptions, lines: list[dict[str, Any]]) -> Path:
    settings = json.loads(options.settings(mpp_source="slide", has_outside=False, override_mpp=None))
    counts = {"pairs": len(lines), "pictures": len(lines), "left_out": []}
    path = finished_path(work, "W.1")
    head = FinishedSlide(wsi_id="W.1", digest="d", settings=settings, mpp_source="slide", has_outside=False, **counts)
    write_finished(path, head, lines)
    assert read_finished(path) == head
    return path


def test_a_folder_of_its_own_stands_for_its_files(tmp_path: Path) -> None:
    path = finished(tmp_path, PairOptions(), [{"image": "W.1/1_2.jpg"}, {"image": "W.1/3_4.jpg"}])
    assert path == tmp_path / "parts" / "W.1.jsonl"
    assert files_of(path) == {"W.1"}
    (tmp_path / "W.1").mkdir()
    (tmp_path / "W.1" / "1_2.jpg").touch()
    assert not files_exist(tmp_path, path)
    (tmp_path / "W.1" / "3_4.jpg").touch()
    assert files_exist(tmp_path, path)
    remove_files(tmp_path, files_of(path))
    assert not (tmp_path / "W.1").exists()


def test_flat_pictures_with_captions_and_shards(tmp_path: Path) -> None:
    flat = PairOptions(naming="flat", captions=True)
    path = finished(tmp_path, flat, [{"image": "W.1_1_2.jpg", "caption": "c"}, {"image": "W.1_3_4.jpg"}])
    names = {"W.1_1_2.jpg", "W.1_1_2.txt", "W.1_3_4.jpg"}
    assert files_of(path) == names
    for name in names:
        assert not files_exist(tmp_path, path)
        (tmp_path / name).touch()
    assert files_exist(tmp_path, path)
    assert files_of(finished(tmp_path, PairOptions(format="webdataset"), [{"shard": "W.1.tar"}])) == {"W.1.tar"}
    assert caption_name("a.b/1_2.jpg") == "a.b/1_2.txt"


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = finished(tmp_path, PairOptions(), [])
    head = read_finished(path)
    assert head is not None
    check_settings(path, head, PairOptions(), None)
    with pytest.raises(PathPluginsError, match="quality 90; this run has quality 80"):
        check_settings(path, head, PairOptions(quality=80), None)


def test_no_record_and_another_file_in_its_place(tmp_path: Path) -> None:
    path = finished_path(tmp_path, "W")
    assert read_finished(path) is None
    assert files_of(path) == set()
    path.parent.mkdir()
    path.write_text("{}\n")
    with pytest.raises(PathPluginsError, match=r"is damaged, or no file of pathdata .*delete it"):
        read_finished(path)
