"""PathVQA: the original pickles and the hub's Parquet files (feature A3)."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.path_vqa import read_path_vqa

QA = {"image": "val_0261", "question": "Is it?", "answer": "yes"}


@pytest.fixture
def pvqa(tmp_path: Path) -> Path:
    """The original archive: ``pvqa/qas/{split}/{split}_qa.pkl`` and ``pvqa/images/{split}/*.jpg``."""
    for split in ("train", "val"):
        samples = [{**QA, "image": f"{split}_0{n}", "answer": answer} for n, answer in enumerate(("yes", "a duct", 3))]
        for place, content in (
            (f"qas/{split}/{split}_qa.pkl", pickle.dumps(samples)),
            (f"images/{split}/{split}_01.jpg", b""),
        ):
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).write_bytes(content)
    (tmp_path / "qas/ans2label.pkl").write_bytes(pickle.dumps({"yes": 0}))
    return tmp_path


def test_a3_one_pickle(pvqa: Path) -> None:
    path = pvqa / "qas/val/val_qa.pkl"
    records, bad = read_path_vqa(path)
    assert not bad
    assert [(record.id, record.row, record.conversations[1].text) for record in records] == [
        *(("val_00", 1, "yes"), ("val_01", 2, "a duct"), ("val_02", 3, "3"))
    ]
    assert records[0].conversations[0].text == "<image>\nIs it?"
    assert records[1].images == (str(pvqa / "images/val/val_01.jpg"),)
    for media in (pvqa, pvqa / "images", pvqa / "images/val"):
        assert read_path_vqa(path, media_dir=media)[0][1].images == records[1].images
    missing = read_path_vqa(path, media_dir=pvqa / "images")[0][0].images
    assert missing == (str(pvqa / "images/val_00.jpg"),)  # the check of the images names it


def test_a3_the_whole_archive(pvqa: Path) -> None:
    records, _ = read_path_vqa(pvqa)
    assert [record.id for record in records] == [f"{split}_0{n}" for split in ("train", "val") for n in range(3)]
    assert {records[1].images, records[4].images} == {
        (str(pvqa / f"images/{split}/{split}_01.jpg"),) for split in ("train", "val")
    }
    assert len(read_path_vqa(pvqa, split="val")[0]) == 3
    with pytest.raises(PathPluginsError, match=r"no file of split 'test'; found train_qa\.pkl, val_qa\.pkl"):
        read_path_vqa(pvqa, split="test")
    with pytest.raises(PathPluginsError, match="no file of PathVQA in this folder"):
        read_path_vqa(pvqa / "images")


def test_a3_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "test_qa.pkl"
    bad_rows: list[Any] = [
        "text",
        {**QA, "image": ""},
        {**QA, "question": None},
        {**QA, "answer": " "},
        {**QA, "answer": []},
    ]
    path.write_bytes(pickle.dumps([*bad_rows, {**QA, "question": "<image>"}, {**QA, "image": "x.v2.PNG"}]))
    records, bad = read_path_vqa(path)
    assert [(r.id, r.images) for r in records] == [("x.v2", (str(tmp_path / "x.v2.PNG"),))]
    assert [(sample.row, sample.reason) for sample in bad] == [
        (1, "malformed row"),
        (2, "no image"),
        (3, "no question"),
        (4, "empty answer"),
        (5, "not text"),
        (6, "misplaced placeholder"),
    ]
    path.write_bytes(pickle.dumps({"yes": 0}))
    with pytest.raises(PathPluginsError, match=r"holds \{'yes': 0\}; expected a list"):
        read_path_vqa(path)


def test_a34_evaluation_json_of_pa_llava(tmp_path: Path) -> None:
    """``{id: {...}}``; the types of question and answer are not needed, and may say anything."""
    kinds = {"question_type": "what", "answer_type": "number"}
    samples = {"7": {**QA, "image": "test_0001.jpg", **kinds}, "q.8": {**QA, "answer": 3}, "9": {"question": "Q?"}}
    path = tmp_path / "pathvqa_test.json"
    path.write_text(json.dumps(samples))
    records, bad = read_path_vqa(path, media_dir=tmp_path)
    assert [(record.id, record.row, record.conversations[1].text) for record in records] == [
        *(("7", 1, "yes"), ("q.8", 2, "3")),
    ]
    assert [record.images for record in records] == [
        (str(tmp_path / f"{name}.jpg"),) for name in ("test_0001", "val_0261")
    ]
    assert [(sample.row, sample.reason) for sample in bad] == [(3, "no image")]


def encoded(kind: str, colour: str) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.new("CMYK" if kind == "JPEG" else "RGB", (7, 5), colour).save(stream, kind)
    return {"bytes": stream.getvalue(), "path": "../../not/trusted.jpg"}


def test_a3_hub_form(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {"image": encoded("JPEG", "red"), "question": "Q1", "answer": "yes"},
        {"image": encoded("JPEG", "red"), "question": "Q2", "answer": "no"},
        {"image": encoded("PNG", "blue"), "question": "Q3", "answer": "no"},
        {"image": {"bytes": b"nothing", "path": None}, "question": "Q4", "answer": "no"},
        {"image": None, "question": "Q5", "answer": "no"},
    ]
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "validation-00000-of-00001-0f.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    with pytest.raises(PathPluginsError, match="pathdata convert path-vqa"):
        read_path_vqa(path)
    images = tmp_path / "images"
    records, bad = read_path_vqa(tmp_path, media_dir=images, split="val", extract_images=True)
    assert [record.conversations[0].text for record in records] == ["<image>\nQ1", "<image>\nQ2", "<image>\nQ3"]
    assert [(sample.row, sample.reason) for sample in bad] == [(4, "unreadable file"), (5, "no image")]
    assert records[0].images == records[1].images != records[2].images
    assert records[0].id == f"{Path(records[0].images[0]).stem}#1"
    assert [*images.iterdir()] != []
    assert sorted(str(file) for file in images.iterdir()) == sorted({r.images[0] for r in records})
    assert {Path(r.images[0]).suffix for r in records} == {".jpg", ".png"}
    assert Path(records[0].images[0]).read_bytes() == rows[0]["image"]["bytes"]
    stamps = [file.stat().st_mtime_ns for file in sorted(images.iterdir())]
    assert read_path_vqa(path, media_dir=images, extract_images=True)[0] == records  # written once
    assert [file.stat().st_mtime_ns for file in sorted(images.iterdir())] == stamps
    parquet.write_table(pyarrow.table({"question": ["Q"]}), path)
    with pytest.raises(PathPluginsError, match="lacks the columns image, answer; it has question"):
        read_path_vqa(path, extract_images=True)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(PathPluginsError, match="is not a readable Parquet file"):
        read_path_vqa(path, extract_images=True)


def test_yes_no_questions_end_with_the_two_options_where_asked(pvqa: Path) -> None:
    records, _ = read_path_vqa(pvqa, split="val", yes_no_suffix=True)
    assert [record.conversations[0].text for record in records] == [
        "<image>\nIs it? Please choose from the following two options: [yes, no]",
        *["<image>\nIs it?"] * 2,
    ]
