"""``pathdata convert`` (features A1 to A8)."""

from __future__ import annotations

import dataclasses
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
        (("--out", "in.json"), "--out in.json is the source itself"),
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


def conversation(number: int, image: str = "", text: str = "What?") -> dict[str, Any]:
    turns = [{"from": "human", "value": f"<image>\n{text}"}, {"from": "gpt", "value": f"Nummer {number}: größer."}]
    return {"id": f"q{number}", "image": image or f"x/{number}.jpg", "conversations": turns}


def test_any_to_any_without_images_at_hand(pathdata: Pathdata, folder: Path) -> None:
    write([{**conversation(n), "image": [f"./BRCA/TCGA-A{n}.B.csv"]} for n in (1, 2)])
    command = ("convert", "slidechat", "in.json", "--to", "wsi-csv", "--image-suffix", ".h5")
    code, said = pathdata(*command, "--out", "train.csv")
    assert code == 0, said
    table = Path("train.csv").read_text(encoding="utf-8").splitlines()
    assert table[1] == "./BRCA/TCGA-A1.B.h5,,What?,Nummer 1: größer.,TCGA-A1.B,,"
    code, said = pathdata("convert", "wsi-csv", "train.csv", *command[3:4], "sharegpt", "--out", "deep/g.json")
    assert code == 0, said
    assert [(row["id"], row["images"]) for row in json.loads(Path("deep/g.json").read_text(encoding="utf-8"))] == [
        *(("TCGA-A1.B", ["./BRCA/TCGA-A1.B.h5"]), ("TCGA-A2.B", ["./BRCA/TCGA-A2.B.h5"]))
    ]
    assert json.loads(Path("deep/dataset_info.json").read_text())["g"]["file_name"] == "g.json"


def test_with_a_folder_images_are_looked_at_and_written_relative_to_it(pathdata: Pathdata, folder: Path) -> None:
    write([conversation(1, "x/b.png"), conversation(2, "a.v1.csv"), conversation(3, "gone.csv")])
    (folder / "images" / "a.v1.csv").write_text("0,1\n1,2\n")
    command = ("convert", "llava", "in.json", "--to", "llava", "--image-folder", "images", "--out", "out.json")
    code, said = pathdata(*command)
    assert (code, "in.json:3: missing file" in said) == (1, True), said
    assert not Path("out.json").exists()
    assert pathdata(*command, "--on-bad", "skip")[0] == 0
    assert [row["image"] for row in json.loads(Path("out.json").read_text())] == ["x/b.png", "a.v1.csv"]


def test_what_the_output_cannot_hold_is_reported(pathdata: Pathdata, folder: Path) -> None:
    many = conversation(2)
    write([conversation(1, "a.h5"), {**many, "conversations": many["conversations"] * 2, "image": ["a.h5", "a.h5"]}])
    command = ("convert", "llava", "in.json", "--to", "wsi-csv", "--out", "out.csv")
    code, said = pathdata(*command)
    assert code == 1
    assert "1 of 2 samples cannot be used: 1 x does not fit" in said
    assert "in.json:2: does not fit: q2: 2 images; a slide table holds one for each sample" in said
    assert not Path("out.csv").exists()
    assert [line["row"] for line in lines("out.csv.bad.jsonl")] == [2]
    assert pathdata(*command, "--on-bad", "skip")[0] == 0
    assert len(Path("out.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_an_entry_of_another_content_is_not_changed(pathdata: Pathdata, folder: Path) -> None:
    write([conversation(1)])
    Path("dataset_info.json").write_text('{"out": {"file_name": "theirs.json"}, "other": {}}')
    command = ("convert", "llava", "in.json", "--to", "sharegpt", "--out", "out.json")
    code, said = pathdata(*command)
    assert (code, "another entry 'out'" in said) == (2, True), said
    assert not Path("out.json").exists()
    assert pathdata(*command, "--overwrite")[0] == 0
    info = json.loads(Path("dataset_info.json").read_text())
    assert (info["out"]["file_name"], info["other"]) == ("out.json", {})


@pytest.mark.parametrize("more", [(), ("--image-folder", "images")])
def test_a_dry_run_writes_nothing(pathdata: Pathdata, folder: Path, more: tuple[str, ...]) -> None:
    write([conversation(1, "x/b.png"), {"id": "bad"}])
    before = sorted(folder.rglob("*"))
    command = ("convert", "llava", "in.json", "--to", "sharegpt", "--out", "new/out.json", "--dry-run", *more)
    code, said = pathdata(*command)
    assert (code, "in.json:2: no conversation" in said) == (1, True), said
    code, said = pathdata(*command, "--on-bad", "skip")
    assert (code, "1 sample (a dry run, nothing was written); left out: 1 bad" in said) == (0, True), said
    assert sorted(folder.rglob("*")) == before


def test_json_says_what_became_of_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from pathplugins.data_tools.cli import main

    write([conversation(1), {"id": "bad"}])
    command = ["convert", "llava", "in.json", "--to", "llava", "--out", "out.json", "--json"]
    assert main(command) == 1
    assert json.loads(capfd.readouterr().out) == {"written": 0, "bad": 1, "too_large": 0, "out": "out.json"}
    assert main([*command, "--on-bad", "skip"]) == 0
    assert json.loads(capfd.readouterr().out) == {"written": 1, "bad": 1, "too_large": 0, "out": "out.json"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "--image-folder is missing"),
        (("--to", "llava", "--image-suffix", "h5"), "--image-suffix must begin with a dot"),
        (("--to", "llava", "--image-folder", "nowhere"), "no such folder"),
        (("--to", "llava", "--mode", "vqa"), "--mode: not an option of llava, which has --ids"),
    ],
)
def test_misuse_of_to(pathdata: Pathdata, folder: Path, more: tuple[str, ...], message: str) -> None:
    write([conversation(1)])
    code, said = pathdata("convert", "llava", "in.json", "--out", "out.json", *more)
    assert (code, message in said) == (2, True), said
    assert not Path("out.json").exists()


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    from pathplugins.data_tools.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["convert", "llava", "-h"])
    said = capfd.readouterr().out
    assert "--to FORMAT" in said
    assert "pathdata convert features" in said
    if importlib.util.find_spec("pathplugins.data_tools.commands.convert_features") is None:
        pytest.skip("no such command yet")
    with pytest.raises(SystemExit, match="0"):
        main(["convert", "features", "-h"])
    assert "usage: pathdata convert features" in capfd.readouterr().out


class TestPieces:
    """A file large enough for several processes: the same bytes as by one."""

    COUNT = 9000

    def convert(self, samples: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, bytes]:
        from pathplugins.data_tools.records import convert as module
        from pathplugins.data_tools.records.pieces import PIECE

        write(samples)
        assert Path("in.json").stat().st_size > 3 * PIECE
        request = module.Request(source=Path("in.json"), out=Path("out.json"), format_name="llava", to="llava")
        done = module.convert(dataclasses.replace(request, on_bad="skip"))
        found = Path("out.json").read_bytes()
        monkeypatch.setattr(module, "pieces_of", lambda stream: [])
        assert module.convert(dataclasses.replace(request, on_bad="skip")) == done
        assert Path("out.json").read_bytes() == found
        return done, found

    def samples(self) -> list[dict[str, Any]]:
        return [conversation(n, text='}, {"id": "q' * (n % 9)) for n in range(self.COUNT)]

    def test_all_well(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        done, found = self.convert(self.samples(), monkeypatch)
        assert (done.written, done.report) == (self.COUNT, "")
        assert [row["id"] for row in json.loads(found)] == [f"q{n}" for n in range(self.COUNT)]

    def test_every_cut_is_right(self, folder: Path) -> None:
        from pathplugins.data_tools.records.pieces import convert_pieces, pieces_of
        from pathplugins.data_tools.records.writers.llava import llava_row
        from pathplugins.data_tools.records.writers.target import JSON_LINES

        write(self.samples())
        stream = dataclasses.replace(read_llava.stream("in.json"), folders=())
        pieces = pieces_of(stream)
        if not pieces:
            pytest.skip("several processes need Linux and two processors")
        blocks = [*convert_pieces(pieces, stream, llava_row, JSON_LINES.encode)]
        assert len(blocks) == len(pieces) >= 3
        assert sum(rows for _, rows in blocks) == b"".join(data for data, _ in blocks).count(b"\n") == self.COUNT

    def test_ids_that_repeat_far_apart(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        samples = self.samples()
        samples[-1]["id"] = "q5"
        samples[4000]["id"] = "a#b"
        _, found = self.convert(samples, monkeypatch)
        records, bad = read_llava("in.json")
        assert not bad
        assert [row["id"] for row in json.loads(found)] == [record.id for record in records]
        assert [records[n].id for n in (5, -1, 4000)] == ["q5#6", f"q5#{self.COUNT}", "a#b#4001"]

    def test_a_bad_row(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        samples = self.samples()
        samples[8000]["image"] = None
        done, _ = self.convert(samples, monkeypatch)
        assert (done.written, done.bad) == (self.COUNT - 1, 1)
        assert "in.json:8001: placeholder count" in done.report


def test_memory_does_not_grow_with_the_file(folder: Path) -> None:
    import tracemalloc

    from pathplugins.data.formats.llava import read_llava as reader

    write([conversation(n, text="x" * 400) for n in range(12_000)])
    assert Path("in.json").stat().st_size > 6_000_000
    tracemalloc.start()
    count = sum(1 for _ in reader.stream("in.json"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 12_000
    assert peak < 3_000_000
