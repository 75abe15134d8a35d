"""``pathdata clean``, whole: planted repeats, thresholds afterwards, published lists, and runs that were killed."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_fields import copied, fields
from PIL import Image

Run = Callable[..., tuple[int, str]]
Patch = pytest.MonkeyPatch

WORDS = ["nests", "of", "tumour", "cells", "with", "the", "nuclei", "stroma", "and", "mitoses", "gland", "necrosis"]


def caption(rng: random.Random, words: int) -> str:
    return " ".join(
        f"{rng.choice(WORDS)}{rng.choice('abcdefg')}" if rng.random() < 0.6 else rng.choice(WORDS) for _ in range(words)
    )


def write_lines(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [*csv.DictReader(stream)]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Nine good pairs and what should be found: by line."""
    rng = random.Random(4)
    good = [{"image": f"a/{at}.png", "caption": caption(rng, 30 + at)} for at in range(9)]
    planted = [
        {"image": "a/1.png", "caption": good[1]["caption"].upper()},  # 10: the same pair in other letters
        {"image": "b/99.png", "caption": good[2]["caption"]},  # 11: another picture of that caption
        {"image": "a/3.png", "caption": good[3]["caption"] + " extra"},  # 12: a longer caption of that picture
        {"image": "c/short.png", "caption": "Nests of cells"},  # 13
        {"image": "c/es.png", "caption": "Corte de la piel con una lesión que muestra células " * 3},  # 14
    ]
    path = write_lines(tmp_path / "pairs.jsonl", [*good, *planted])
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"image": "x.png", "caption": ""}\n{"image": broken\n{"caption": "no image"}\n')
    return path


def test_planted_faults_are_found_by_row(pairs: Path, tmp_path: Path, pathdata: Run) -> None:
    code, text = pathdata("clean", pairs, "--out", tmp_path / "clean", "--workers", 1)
    assert code == 0, text
    assert "3 of 17 samples cannot be used" in text
    assert "1 x empty answer" in text
    assert "14 pairs, 10 without a reason against them" in text
    rows = {int(row["row"]): row for row in table(tmp_path / "clean" / "scores.csv")}
    assert [*rows] == [*range(1, 15)]
    assert {row: line["reasons"] for row, line in rows.items() if line["reasons"]} == {
        4: "repeat",
        10: "repeat",
        13: "few words",
        14: "not English",
    }
    assert (rows[10]["image_id"], rows[10]["caption_id"]) == ("2", "2")
    assert (rows[11]["image_id"], rows[11]["caption_id"]) == ("11", "3")
    assert (rows[12]["caption_id"], rows[12]["near_caption_id"]) == ("12", "4")
    assert len((tmp_path / "clean" / "bad.jsonl").read_text().splitlines()) == 3
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == ["bad.jsonl", "run.json", "scores.csv"]


def test_thresholds_apply_afterwards_and_rows_stay_as_written(pairs: Path, tmp_path: Path, pathdata: Run) -> None:
    assert pathdata("clean", pairs, "--out", tmp_path / "clean")[0] == 0
    scores, lines = tmp_path / "clean" / "scores.csv", pairs.read_text().splitlines()
    code, text = pathdata("clean", pairs, "--apply", scores, "--out", tmp_path / "kept.jsonl")
    assert code == 0, text
    assert (tmp_path / "kept.jsonl").read_text().splitlines() == [
        line for at, line in enumerate(lines, 1) if at <= 12 and at not in (4, 10)
    ]
    words = ("--min-words", 3, "--min-english", 0, "--repeats", "none")
    code, text = pathdata("clean", pairs, "--apply", scores, *words, "--out", tmp_path / "all")
    assert "14 of 14 pairs" in text
    assert (tmp_path / "all" / "pairs.jsonl").read_text().splitlines() == lines[:14]
    code, text = pathdata("clean", pairs, "--apply", scores, "--out", tmp_path / "kept.jsonl")
    assert code == 2
    assert "exists; pass --overwrite" in text


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_other_formats_come_back_as_they_came(kind: str, tmp_path: Path, pathdata: Run) -> None:
    rng = random.Random(6)
    rows = [{"id": f"q{at}", "image_path": f"{at}.jpg", "caption": caption(rng, 22) + ", \n x"} for at in range(5)]
    rows[2]["caption"] = "short"
    source = tmp_path / f"in.{kind}"
    if kind == "csv":
        with source.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["id", "image_path", "caption", "subset"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        source.write_text(json.dumps([{"image": row["image_path"], "caption": row["caption"]} for row in rows]))
    form = ("--format", "quilt-1m") if kind == "csv" else ()
    assert pathdata("clean", source, "--out", tmp_path / "clean", *form)[0] == 0
    kept = tmp_path / f"kept.{kind}"
    assert pathdata("clean", source, "--apply", tmp_path / "clean" / "scores.csv", "--out", kept)[0] == 0
    if kind == "csv":
        assert [row["id"] for row in table(kept)] == ["q0", "q1", "q3", "q4"]
        assert table(kept)[2]["caption"] == rows[3]["caption"]
    else:
        assert json.loads(kept.read_text()) == [
            row for row in json.loads(source.read_text()) if "2." not in row["image"]
        ]


def test_exactly_the_published_list(tmp_path: Path, pathdata: Run) -> None:
    names = ["x/one.jpg", "two.v1.jpg", "three.png", "three.tif", "four.jpg", "five.jpg", "five.jpg"]
    rows = [{"image": name, "caption": f"caption {at}"} for at, name in enumerate(names)]
    pairs = write_lines(tmp_path / "pairs.jsonl", rows)
    index = tmp_path / "names.txt"
    index.write_text("one.jpg\nelsewhere/two.v1.jpg\nthree.jpg\nfive\ntwo\nnowhere.jpg\n")
    code, text = pathdata("clean", "--index", index, pairs, "--out", tmp_path / "pcaption")
    assert code == 0, text
    kept = [json.loads(line)["image"] for line in (tmp_path / "pcaption" / "pairs.jsonl").read_text().splitlines()]
    assert kept == ["x/one.jpg", "two.v1.jpg", "three.png", "three.tif", "five.jpg", "five.jpg"]
    assert (tmp_path / "pcaption" / "pairs.jsonl.not_found.txt").read_text() == "two\nnowhere.jpg\n"
    assert (tmp_path / "pcaption" / "pairs.jsonl.several.tsv").read_text() == "three.jpg\t2\nfive\t2\n"
    assert "2 of 6 names are of no pair: two, nowhere.jpg" in text
    index.write_text("nothing.jpg\n")
    code, text = pathdata("clean", "--index", index, pairs, "--out", tmp_path / "none")
    assert code == 2
    assert "none of its 1 names (nothing.jpg, ...) is an image of" in text


def test_a_name_that_is_found_takes_no_picture_of_another_suffix(tmp_path: Path, pathdata: Run) -> None:
    pairs = write_lines(tmp_path / "p.jsonl", [{"image": name, "caption": "c"} for name in ("a.jpg", "a.png")])
    (tmp_path / "names.txt").write_text("a.jpg\n")
    assert pathdata("clean", "--index", tmp_path / "names.txt", pairs, "--out", tmp_path / "kept.jsonl")[0] == 0
    assert (tmp_path / "kept.jsonl").read_text() == pairs.read_text().splitlines(keepends=True)[0]


KILLED = """
import sys
from pathplugins.data_tools.cleaning import parts
parts.PART_ROWS = 20
if sys.argv[1] == "slow":
    scored = parts.score_caption
    def slowly(*words):
        __import__("time").sleep(0.004)
        return scored(*words)
    parts.score_caption = slowly
from pathplugins.data_tools.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked there alone")
def test_killed_and_resumed_is_undisturbed(tmp_path: Path, pathdata: Run) -> None:
    rng = random.Random(8)
    drawn = [caption(rng, rng.randint(10, 40)) for _ in range(300)]
    rows = [{"image": f"{at}.png", "caption": rng.choice(drawn)} for at in range(610)]
    pairs = write_lines(tmp_path / "pairs.jsonl", rows)
    out = tmp_path / "clean"
    command = ["clean", str(pairs), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-c", KILLED, "slow", *command], env=dict(os.environ))
    end = time.monotonic() + 60
    while len([*out.glob("parts/*.csv")]) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("parts/0*.csv")}
    assert 3 <= len(done) < 31
    assert not (out / "scores.csv").exists()
    assert subprocess.run([sys.executable, "-c", KILLED, "quick", *command], check=False).returncode == 0
    assert pathdata("clean", pairs, "--out", tmp_path / "whole")[0] == 0
    assert (out / "scores.csv").read_bytes() == (tmp_path / "whole" / "scores.csv").read_bytes()
    code, text = pathdata("clean", pairs, "--out", out)
    assert code == 2
    assert "exists; apply thresholds with --apply" in text


def test_what_is_wrong_is_said(pairs: Path, tmp_path: Path, pathdata: Run) -> None:
    assert pathdata("clean", pairs, "--out", tmp_path / "clean")[0] == 0
    scores = tmp_path / "clean" / "scores.csv"
    with pairs.open("a") as stream:
        stream.write('{"image": "y.png", "caption": "more"}\n')
    wrong = {
        ("--apply", scores, "--out", tmp_path / "k.jsonl"): "score it again",
        ("--apply", tmp_path / "no.csv", "--out", tmp_path / "k.jsonl"): "no such file; expected the scores.csv",
        ("--apply", scores, "--out", tmp_path / "k.csv"): "choose a name that ends in .jsonl",
        ("--apply", scores, "--index", scores, "--out", tmp_path / "k"): "give one of them",
        ("--out", tmp_path / "clean"): "is of other data (bytes, changed_ns differs)",
        ("--out", tmp_path / "new", "--workers", 0): "--workers must be 1 or more, got 0",
        ("--out", tmp_path / "new", "--format", "llava"): "name its format with --format",
    }
    for words, message in wrong.items():
        code, text = pathdata("clean", pairs, *words)
        assert code == 2, words
        assert message in text, text


def test_images_are_decoded_and_copies_found(tmp_path: Path, pathdata: Run) -> None:
    rng, folder, drawn = np.random.default_rng(3), tmp_path / "images", fields(6, seed=9)
    folder.mkdir()
    for at, image in enumerate(drawn):
        image.save(folder / f"{at}.png")
    copied(drawn[1], 5, rng).save(folder / "copy.jpg")
    drawn[2].resize((90, 60)).save(folder / "small.png")
    (folder / "broken.png").write_bytes((folder / "3.png").read_bytes()[:2000])
    Image.new("L", (200, 150), 230).save(folder / "flat.png")
    names = [*(f"{at}.png" for at in range(6)), "copy.jpg", "small.png", "broken.png", "flat.png", "missing.png"]
    words = random.Random(1)
    rows = [{"image": name, "caption": caption(words, 25 + at)} for at, name in enumerate(names)]
    pairs = write_lines(tmp_path / "pairs.jsonl", rows)
    code, text = pathdata("clean", pairs, "--image-folder", folder, "--out", tmp_path / "clean")
    assert code == 0, text
    assert "11 pairs, 6 without a reason against them" in text
    seen = {row["image"]: row for row in table(tmp_path / "clean" / "scores.csv")}
    assert {name: row["reasons"] for name, row in seen.items() if row["reasons"]} == {
        "1.png": "repeat",  # its copy has the longer caption; that of 2.png has a fault of its own
        "small.png": "small image; repeat",
        "broken.png": "unusable image",
        "flat.png": "flat image; blurred image",
        "missing.png": "unusable image",
    }
    assert seen["copy.jpg"]["image_id"] == "2"
    assert (seen["broken.png"]["fault"], seen["missing.png"]["fault"]) == ("unreadable file", "missing file")
    assert (int(seen["0.png"]["width"]), int(seen["0.png"]["height"])) == drawn[0].size
    kept = ("--min-side", 10, "--min-spread", 0, "--min-gradient", 0, "--repeats", "none")
    scores = tmp_path / "clean" / "scores.csv"
    code, text = pathdata("clean", pairs, "--apply", scores, *kept, "--out", tmp_path / "kept.jsonl")
    assert "9 of 11 pairs" in text
    code, text = pathdata("clean", pairs, "--image-folder", tmp_path / "imagse", "--out", tmp_path / "new")
    assert code == 2
    assert "no such folder; name the folder with the images" in text


def test_planted_leaks_are_all_named_and_nothing_else(tmp_path: Path, pathdata: Run) -> None:
    rng, words, folder, drawn = np.random.default_rng(6), random.Random(2), tmp_path / "images", fields(40, seed=31)
    (folder / "tested").mkdir(parents=True)
    for at, image in enumerate(drawn[:30]):
        image.save(folder / f"{at}.png")
    rows = [{"image": f"{at}.png", "caption": caption(words, 25 + at)} for at in range(30)]
    rows.append({"image": "moved/val_00261.png", "caption": caption(words, 30)})  # 31: named as a tested image
    drawn[0].resize((150, 110)).save(folder / "val_00261.png")
    asked = {
        f"q{at}": {"image": f"tested/t{at}", "question": f"Which of these is seen, number {at}?", "answer": "yes"}
        for at in range(5)
    }
    for at in range(3):  # rows 1 to 3 show what is tested
        copied(drawn[at], at + 4, rng).save(folder / "tested" / f"t{at}.jpg")
    drawn[35].save(folder / "tested" / "t3.jpg")
    asked["q5"] = {"image": "val_00261", "question": rows[9]["caption"], "answer": rows[10]["caption"] + " too"}
    (tmp_path / "pathvqa.json").write_text(json.dumps(asked))
    header = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer,Answer_label\n"
    (tmp_path / "pmcvqa.csv").write_text(f"{header}PMC1_f.jpg,{rows[11]['caption']},A: a,B: b,C: c,D: d,A,A\n")
    pairs = write_lines(tmp_path / "pairs.jsonl", rows)
    tests = ("--against", tmp_path / "pathvqa.json", tmp_path / "pmcvqa.csv")
    code, text = pathdata("clean", pairs, "--image-folder", folder, *tests, "--out", tmp_path / "clean")
    assert code == 0, text
    assert "leaks may be missed: 3 of 7 images of evaluation sets cannot be used" in text  # t4, val_00261.jpg, PMC1_f
    seen = {int(row["row"]): row for row in table(tmp_path / "clean" / "scores.csv")}
    assert {row: line["leak"] for row, line in seen.items() if line["leak"]} == {
        1: "image pathvqa.json:1",
        2: "image pathvqa.json:2",
        3: "image pathvqa.json:3",
        10: "caption pathvqa.json:6",
        11: "caption pathvqa.json:6",
        12: "caption pmcvqa.csv:2",
        31: "name pathvqa.json:6",
    }
    scores = tmp_path / "clean" / "scores.csv"
    code, text = pathdata("clean", pairs, "--apply", scores, "--out", tmp_path / "kept.jsonl")
    assert "7 x leak" in text
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 24
    code, text = pathdata("clean", pairs, "--apply", scores, "--keep-leaks", "--out", tmp_path / "more.jsonl")
    assert len((tmp_path / "more.jsonl").read_text().splitlines()) == 30  # the moved image is missing
    code, text = pathdata("clean", pairs, "--image-folder", folder, "--out", tmp_path / "clean")
    assert code == 2
    assert "is of other data (against differs)" in text


def test_leaks_of_texts_need_no_images(tmp_path: Path, pathdata: Run) -> None:
    words = random.Random(3)
    rows = [{"image": f"{at}.png", "caption": caption(words, 30)} for at in range(20)]
    pairs = write_lines(tmp_path / "pairs.jsonl", rows)
    held = write_lines(tmp_path / "held.jsonl", [{"image": "z.png", "caption": rows[7]["caption"].title()}])
    code, text = pathdata("clean", pairs, "--against", f"pallava-captions:{held}", "--out", tmp_path / "clean")
    assert code == 0, text
    assert "1 x leak" in text
    assert "may be missed" not in text
    assert [row["row"] for row in table(tmp_path / "clean" / "scores.csv") if row["leak"]] == ["8"]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked there alone")
def test_a_killed_worker_is_an_error_in_words(pairs: Path, tmp_path: Path, pathdata: Run, monkeypatch: Patch) -> None:
    def ends(*_: object) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    monkeypatch.setattr("pathplugins.data_tools.cleaning.parts.score_caption", ends)
    code, text = pathdata("clean", pairs, "--out", tmp_path / "clean")
    assert code == 2
    assert "run the same command again to continue, with fewer --workers" in text
    monkeypatch.undo()
    code, text = pathdata("clean", pairs, "--out", tmp_path / "clean")
    assert code == 0, text
    assert "14 pairs, 10 without a reason" in text
