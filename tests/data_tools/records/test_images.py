"""Checked images: each distinct one once, in order, with every fault of a record."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pathplugins.data.records import BadSample, Record, Turn
from pathplugins.data_tools.records import images
from pathplugins.data_tools.records.images import checked_images


def record(number: int, *paths: Path) -> Record:
    turns = (Turn("user", "What?"), Turn("assistant", "Cells."))
    names = tuple(map(str, paths))
    return Record(id=str(number), conversations=turns, images=names, meta={}, source="in", row=number)


def reasons(items: list, **options: object) -> list[list[str]]:
    settings = {"max_pixels": 4000, "feature_files": False, **options}
    return [[fault.reason for fault in faults] for _, faults in checked_images(items, **settings)]  # type: ignore[arg-type]


def test_faults_come_with_their_record_in_order(tmp_path: Path) -> None:
    good, large, broken = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    Image.new("RGB", (61, 43)).save(good)
    Image.new("RGB", (91, 90)).save(large)
    broken.write_bytes(b"text")
    bad = BadSample(source="in", row=4, reason="no image", detail="")
    items = [record(1, good), record(2, large, broken), record(3), bad, record(5, tmp_path / "no.png", good)]
    found = [*checked_images(items, max_pixels=4000, feature_files=False)]
    assert [item and item.id for item, _ in found] == ["1", "2", "3", None, "5"]
    assert [[fault.reason for fault in faults] for _, faults in found] == [
        *([], ["too many pixels", "not an image"], [], ["no image"], ["missing file"])
    ]
    assert [fault.row for _, faults in found for fault in faults] == [2, 2, 4, 5]


def test_a_distinct_image_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (61, 43)).save(tmp_path / "a.png")
    asked: list[str] = []
    check = images.check_image

    def counted(image: str, **options: object) -> object:
        asked.append(image)
        return check(image, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "check_image", counted)
    paths = [tmp_path / name for name in ("a.png", "no.png")]
    assert reasons([record(number, *paths) for number in range(1, 700)]) == [["missing file"]] * 699
    assert sorted(asked) == sorted(map(str, paths))


def test_feature_files_of_other_tools_must_hold_something(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,1\n")
    (tmp_path / "b.pt").write_bytes(b"")
    items = [record(1, tmp_path / "a.csv"), record(2, tmp_path / "b.pt"), record(3, tmp_path / "c.pt")]
    assert reasons(items, feature_files=True) == [[], ["unusable file"], ["missing file"]]
    assert reasons(items[:1]) == [["not an image"]]
