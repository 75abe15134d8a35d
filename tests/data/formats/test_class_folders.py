"""Zero-shot sets: class folders and class lists (feature A4)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.class_folders import read_class_folders
from pathplugins.data.records import check_images

OSCC = {
    "Normal Oral Cavity Histopathological Images": "normal oral epithelium",
    "OSCC Histopathological Images": "OSCC",
}


def draw(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (7, 5)).save(path)


def answers(records: list) -> list[tuple[str, str]]:
    return [(record.id, record.conversations[1].text) for record in records]


def test_a4_bach(tmp_path: Path) -> None:
    """``Photos/{Normal,Benign,InSitu,Invasive}``; a file name may be in two classes, other files are left alone."""
    photos = tmp_path / "Photos"
    draw(*(photos / name for name in ("Normal/n001.tif", "Benign/b001.tif", "InSitu/x.TIF", "Invasive/x.tif")))
    (photos / "Benign/Thumbs.db").write_bytes(b"")
    (photos / "microscopy_ground_truth.csv").write_text("n001.tif,Normal\n")
    (photos / "__MACOSX").mkdir()
    draw(photos / "Benign/.b001.tif", photos / ".cache/a.tif")
    records, bad = read_class_folders(photos)
    assert not bad
    assert answers(records) == [
        *(("Benign/b001", "benign"), ("InSitu/x", "in situ"), ("Invasive/x", "invasive"), ("Normal/n001", "normal")),
    ]
    question = (
        "<image>\nWhich of these does this image show: benign, in situ, invasive, normal? Answer with one of them."
    )
    assert {record.conversations[0].text for record in records} == {question}
    assert [record.row for record in records] == [1, 2, 3, 4]
    assert records[1].images == (str(photos / "InSitu/x.TIF"),)
    assert not check_images(records, lambda image: Image.open(image).load())


def test_a4_oscc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with blanks, images a level deeper, labels of one's own, also from a file, and a path that is relative."""
    monkeypatch.chdir(tmp_path)
    first, second = OSCC
    draw(Path("First Set", f"100x {first}", "Normal_100x_1.jpg"), Path("First Set", f"100x {second}", "a", "b.c.jpg"))
    records, _ = read_class_folders("First Set")
    assert [text for _, text in answers(records)] == [
        *("100x normal oral cavity histopathological images", "100x OSCC histopathological images"),
    ]
    labels = {f"100x {name}": label for name, label in OSCC.items()}
    Path("labels.json").write_text(json.dumps(labels))
    for given in (labels, "labels.json"):
        records, _ = read_class_folders("First Set", labels=given, question="One of {labels}?")
        assert answers(records) == [
            (f"100x {first}/Normal_100x_1", "normal oral epithelium"),
            (f"100x {second}/a/b.c", "OSCC"),
        ]
        assert records[0].conversations[0].text == "<image>\nOne of OSCC, normal oral epithelium?"
    assert records[0].images == (str(tmp_path / "First Set" / f"100x {first}" / "Normal_100x_1.jpg"),)


@pytest.mark.parametrize("mark", [" ", "\t", ","])
def test_a4_colonpath(tmp_path: Path, mark: str) -> None:
    """One folder of images and lists of ``file label``."""
    draw(tmp_path / "colon/images/2019 1.png")
    names = tmp_path / "test_WithLabel.txt"
    names.write_text("\n".join((f"2019 1.png{mark}1", "", f"b.png{mark}0", "c.png")))
    records, bad = read_class_folders(names, media_dir=tmp_path / "colon/images", labels={"0": "normal", "1": "tumour"})
    assert [(*answer, record.row) for answer, record in zip(answers(records), records, strict=True)] == [
        *(("2019 1", "tumour", 1), ("b", "normal", 3)),
    ]
    assert [(sample.row, sample.reason) for sample in bad] == [(4, "no label")]
    assert records[0].images == (str(tmp_path / "colon/images/2019 1.png"),)


def test_mistakes(tmp_path: Path) -> None:
    draw(tmp_path / "set/a/1.png", tmp_path / "set/b/1.png")
    with pytest.raises(PathPluginsError, match=r"labels name the classes a, c; .*set has a, b; name all of them"):
        read_class_folders(tmp_path / "set", labels={"a": "x", "c": "y"})
    with pytest.raises(PathPluginsError, match=r"fewer than two labels: a \(x\), b \(x\); name"):
        read_class_folders(tmp_path / "set", labels={"a": "x", "b": "x"})
    with pytest.raises(PathPluginsError, match="its classes have fewer than two labels: none"):
        read_class_folders(tmp_path / "set" / "a")
    with pytest.raises(PathPluginsError, match="no such file; expected a folder with a sub-folder per class"):
        read_class_folders(tmp_path / "absent")
    (tmp_path / "set/c").mkdir()
    with pytest.raises(PathPluginsError, match=r"c holds no image \(.png, .*\) and is no class; move it out"):
        read_class_folders(tmp_path / "set")


def test_folders_of_parts_are_no_classes(tmp_path: Path) -> None:
    """``train/normal/1.png`` is of the class normal; ``split`` keeps a part, and is of no account without parts."""
    draw(*(tmp_path / "set" / name for name in ("train/normal/1.png", "train/SCC/2.png", "Val/SCC/3.png")))
    records, bad = read_class_folders(tmp_path / "set")
    assert not bad
    assert answers(records) == [("Val/SCC/3", "SCC"), ("train/SCC/2", "SCC"), ("train/normal/1", "normal")]
    assert [record.meta for record in records] == [
        {"class": "SCC", "part": "valid"},
        {"class": "SCC", "part": "train"},
        {"class": "normal", "part": "train"},
    ]
    kept, _ = read_class_folders(tmp_path / "set", split="train")
    assert [record.id for record in kept] == ["train/SCC/2", "train/normal/1"]
    assert len(read_class_folders(tmp_path / "set/train", split="test")[0]) == 2
    with pytest.raises(PathPluginsError, match="split is 'dev', expected train, valid or test"):
        read_class_folders(tmp_path / "set", split="dev")
    draw(tmp_path / "set/other/1.png")
    with pytest.raises(PathPluginsError, match=r"Val, train is the name of a part and other is not"):
        read_class_folders(tmp_path / "set")
