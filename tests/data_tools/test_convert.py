"""``pathdata convert`` (features A1 to A8)."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from pathplugins.data.formats.llava import read_llava
from pathplugins.data.formats.pallava_captions import read_pallava_captions
from pathplugins.data.prompts import PATCH_CAPTION_REQUESTS

Pathdata = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with images of odd sizes."""
    (tmp_path / "images" / "x").mkdir(parents=True)
    for name, size in (
        ("a.v1.jpg", (61, 43)),
        ("x/b.png", (37, 90)),
        ("x/a.v1.jpg", (9, 5)),
        ("large.png", (101, 100)),
    ):
        Image.new("RGB", size, "pink").save(tmp_path / "images" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(samples: Any, name: str = "in.json") -> None:
    Path(name).write_text(json.dumps(samples))


def lines(name: str = "train.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


CAPTIONS = [{"image": name, "caption": f"Gewebe, größer: {name}"} for name in ("a.v1.jpg", "x/b.png", "x/a.v1.jpg")]
COMMAND = ("convert", "pallava-captions", "in.json", "--image-folder", "images", "--out", "train.jsonl")


def test_the_published_step(pathdata: Pathdata, folder: Path) -> None:
    write(CAPTIONS)
    code, said = pathdata(*COMMAND)
    assert code == 0, said
    assert said.splitlines()[-1] == "train.jsonl: 3 samples; left out: 0 bad, 0 above 16777216 pixels"
    written = lines()
    assert [(line["id"], line["image"]) for line in written] == [
        *(("a.v1#1", "a.v1.jpg"), ("b", "x/b.png"), ("a.v1#3", "x/a.v1.jpg"))
    ]
    for line, sample in zip(written, CAPTIONS, strict=True):
        human, gpt = line["conversations"]
        assert (human["from"], gpt) == ("human", {"from": "gpt", "value": sample["caption"]})
        asked = {*human["value"].split("\n")}
        assert "<image>" in asked
        assert asked - {"<image>"} <= {*PATCH_CAPTION_REQUESTS}
    assert sorted(path.name for path in folder.iterdir()) == ["images", "in.json", "train.jsonl"]


def test_what_is_written_is_read_back_the_same(pathdata: Pathdata, folder: Path) -> None:
    write(CAPTIONS)
    assert pathdata(*COMMAND, "--seed", 5)[0] == 0
    direct, _ = read_pallava_captions("in.json", media_dir="images", seed=5)
    back, bad = read_llava("train.jsonl", media_dir="images")
    assert not bad
    assert [(r.id.partition("#")[0], r.conversations, r.images) for r in back] == [
        (r.id.partition("#")[0], r.conversations, r.images) for r in direct
    ]
    first = Path("train.jsonl").read_bytes()
    assert pathdata(*COMMAND, "--seed", 5, "--overwrite")[0] == 0
    assert Path("train.jsonl").read_bytes() == first
    assert pathdata(*COMMAND, "--seed", 6, "--overwrite")[0] == 0
    assert Path("train.jsonl").read_bytes() != first


def test_bad_rows_stop_it_all_at_once(pathdata: Pathdata, folder: Path) -> None:
    (folder / "images" / "broken.jpg").write_bytes(b"no image at all")
    write(
        [
            *CAPTIONS,
            {"image": "gone.jpg", "caption": "x"},
            {"image": "broken.jpg", "caption": "x"},
            {"image": "x/b.png"},
        ]
    )
    code, said = pathdata(*COMMAND)
    assert code == 1
    assert "3 of 6 samples cannot be used" in said
    for row, reason in ((4, "missing file"), (5, "not an image"), (6, "empty answer")):
        assert f"in.json:{row}: {reason}" in said
    assert "nothing was written; correct these rows, or pass --on-bad skip" in said
    assert not Path("train.jsonl").exists()
    assert [line["row"] for line in lines("train.jsonl.bad.jsonl")] == [4, 5, 6]

    code, said = pathdata(*COMMAND, "--on-bad", "skip")
    assert code == 0, said
    assert said.splitlines()[-1] == "train.jsonl: 3 samples; left out: 3 bad, 0 above 16777216 pixels"
    assert len(lines()) == 3

    write(CAPTIONS)
    assert pathdata(*COMMAND, "--overwrite")[0] == 0
    assert not Path("train.jsonl.bad.jsonl").exists()


def test_a6_large_images_are_left_out_and_stop_nothing(pathdata: Pathdata, folder: Path) -> None:
    write([{"image": "large.png", "caption": "x"}, *CAPTIONS])
    code, said = pathdata(*COMMAND, "--max-pixels", 101 * 100 - 1)
    assert code == 0, said
    assert "in.json:1: too many pixels" in said
    assert said.splitlines()[-1] == "train.jsonl: 3 samples; left out: 0 bad, 1 above 10099 pixels"
    assert [line["row"] for line in lines("train.jsonl.bad.jsonl")] == [1]
    assert pathdata(*COMMAND, "--max-pixels", 101 * 100, "--overwrite")[0] == 0
    assert len(lines()) == 4
    code, said = pathdata(*COMMAND, "--max-pixels", 1, "--overwrite")
    assert code == 1
    assert "nothing was written; no row is left" in said
    assert len(lines()) == 4  # of the run before


def test_a1_selection_and_short_captions(pathdata: Pathdata, folder: Path) -> None:
    write([*CAPTIONS, {"image": "gone.jpg", "caption": "not selected"}, {"image": "large.png", "caption": "short"}])
    Path("ids.txt").write_text("a.v1\nlarge.png\nnobody\n")
    code, said = pathdata(*COMMAND, "--ids", "ids.txt", "--min-words", 3)
    assert code == 0, said
    assert [line["id"] for line in lines()] == ["a.v1#1", "a.v1#3"]


def test_images_elsewhere_several_or_none(pathdata: Pathdata, folder: Path) -> None:
    Image.new("RGB", (13, 17)).save(folder / "beside.png")
    with h5py.File(folder / "images" / "bag.h5", "w") as file:
        file["features"] = np.ones((3, 5), np.float16)
        file["coords_yx"] = np.array([[0, 0], [0, 256], [256, 0]])
    say = {"from": "gpt", "value": "Yes."}
    write(
        [
            {"id": 1, "image": "beside.png", "conversations": [{"from": "human", "value": "<image>?"}, say]},
            {
                "id": 2,
                "image": ["a.v1.jpg", "bag.h5"],
                "conversations": [{"from": "human", "value": "<image><image>"}, say],
            },
            {"id": 3, "conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "?"}, say]},
        ]
    )
    code, said = pathdata("convert", "llava", "in.json", "--image-folder", "images", "--out", "deep/train.jsonl")
    assert code == 0, said
    one, two, three = lines("deep/train.jsonl")
    assert one["image"] == str(folder / "beside.png")
    assert two["image"] == ["a.v1.jpg", "bag.h5"]
    assert "image" not in three
    assert [turn["from"] for turn in three["conversations"]] == ["system", "human", "gpt"]


def test_path_vqa_of_the_hub_brings_its_images(pathdata: Pathdata, folder: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    stream = io.BytesIO()
    Image.new("RGB", (31, 19), "red").save(stream, "JPEG")
    rows = [{"image": {"bytes": stream.getvalue(), "path": None}, "question": q, "answer": "no"} for q in ("1?", "2?")]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "test-00000.parquet")
    code, said = pathdata("convert", "path-vqa", "test-00000.parquet", "--image-folder", "new", "--out", "train.jsonl")
    assert code == 0, said
    (image,) = (folder / "new").iterdir()
    assert [line["image"] for line in lines()] == [image.name, image.name]
    assert image.read_bytes() == stream.getvalue()
    (folder / "evil_qa.pkl").write_bytes(pickle.dumps(print))
    code, said = pathdata("convert", "path-vqa", "evil_qa.pkl", "--image-folder", "new", "--out", "evil.jsonl")
    assert code == 2
    assert "asks for builtins.print" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--split", "train"), "--split: not an option of pallava-captions, which has --seed, --ids, --min-words"),
        (("--max-pixels", "0"), "--max-pixels must be above 0"),
        (("--image-folder", "nowhere"), "--image-folder nowhere: no such folder"),
        (("--out", "in.json"), "in.json is there already; pass --overwrite"),
        (("--ids", "nowhere.txt"), "nowhere.txt: no such file"),
    ],
)
def test_misuse(pathdata: Pathdata, folder: Path, more: tuple[str, ...], message: str) -> None:
    write(CAPTIONS)
    code, said = pathdata(*COMMAND, *more)
    assert (code, message in said) == (2, True), said
    assert not Path("train.jsonl").exists()
    assert json.loads(Path("in.json").read_text()) == CAPTIONS


def test_the_source_is_never_replaced(pathdata: Pathdata, folder: Path) -> None:
    write(CAPTIONS)
    code, said = pathdata(*COMMAND[:-1], "images/../in.json", "--overwrite")
    assert (code, "is the source itself" in said) == (2, True), said
    assert json.loads(Path("in.json").read_text()) == CAPTIONS
