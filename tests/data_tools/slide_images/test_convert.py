"""Slides to several pictures, whole: `pathdata convert slides` on demo slides."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.coord_files import read_coords

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
ONE = ("--workers", 1)
"""In this process, which has imported torch already."""


@pytest.fixture(scope="module")
def work(slides_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of 64 px and bags of a and b."""
    folder = tmp_path_factory.mktemp("work")
    assert main(["patch", str(slides_folder), "--out", str(folder), "--patch-size", "64", "--workers", "1"]) == 0
    model = ("--encoder", "test_vit", "--random-weights", "0", "--device", "cpu")
    assert main(["features", str(folder), *model]) == 0
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("slide,label\na.svs,normal\nb,tumour\n")
    return path


def rows_of(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return json.loads(path.read_text())


def asked(labels: Path, patches: Path, per_slide: int) -> tuple[object, ...]:
    words = ("convert", "slides", labels, "--from", "labels", "--patches", patches, "--per-slide", per_slide)
    return (*words, *ONE)


def prints(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}


def test_labels_to_pictures_with_positions(
    pathdata: Pathdata, work: Path, labels: Path, slides_folder: Path, tmp_path: Path
) -> None:
    words = (*asked(labels, work, 5), "--positions", "mm")
    code, said = pathdata(*words, "--out", tmp_path / "data" / "train.json", "--choices", "none")
    assert code == 0, said
    assert "2 samples about 2 slides; left out: 0 bad" in said
    assert "dataset: train; up to 5 pictures a sample, 1,280 tokens in MedGemma" in said
    first, second = rows_of(tmp_path / "data" / "train.json")
    assert json.loads((tmp_path / "data" / "dataset_info.json").read_text())["train"]["formatting"] == "sharegpt"
    assert [turn["value"] for turn in second["conversations"]][1] == "tumour"
    coords = read_coords(work / "coords" / "a.h5")
    text = first["conversations"][0]["value"].split("\n")
    assert len(first["images"]) == 5
    assert text[-1] == "What is the diagnosis?"
    with Slide(slides_folder / "a.svs") as slide:
        for number, (name, line) in enumerate(zip(first["images"], text, strict=False), 1):
            x, y = map(int, Path(name).stem.split("_"))
            assert [x, y] in coords.coords_xy.tolist()
            mm = [f"{(at + 32) * 0.5 / 1000:.2f}" for at in (x, y)]
            assert line == f"Patch {number} at x {mm[0]} mm, y {mm[1]} mm: <image>"
            got = np.asarray(Image.open(tmp_path / "data" / name)).astype(int)
            wanted = io.BytesIO()
            Image.fromarray(slide.read(x, y, (64, 64), (64, 64))).save(wanted, "JPEG", quality=90)
            assert np.abs(got - np.asarray(Image.open(wanted)).astype(int)).max() <= 2


def test_kmeans_is_resumed_and_repeated_exactly(pathdata: Pathdata, work: Path, labels: Path, tmp_path: Path) -> None:
    words = (*asked(labels, work, 6), "--select", "kmeans")
    assert pathdata(*words, "--out", tmp_path / "one")[0] == 0
    assert pathdata(*words, "--out", tmp_path / "two" / "slides.json", "--workers", 2)[0] == 0
    assert (tmp_path / "one" / "slides.json").read_bytes() == (tmp_path / "two" / "slides.json").read_bytes()
    before = prints(tmp_path / "one")
    assert len(before) == 12
    shutil.rmtree(tmp_path / "one" / "slide_pictures" / "kmeans_6" / "images" / "b")
    (tmp_path / "one" / "slides.json").unlink()
    code, said = pathdata(*words, "--out", tmp_path / "one", "--positions", "normalised")
    assert code == 0, said
    assert "a: 6 patches (exists already)" in said
    after = prints(tmp_path / "one")
    assert {path for path in before if before[path] != after[path]} == {path for path in before if "/b/" in path}
    assert (
        rows_of(tmp_path / "one" / "slides.json")[0]["images"] == rows_of(tmp_path / "two" / "slides.json")[0]["images"]
    )
    code, said = pathdata(*words, "--out", tmp_path / "one" / "more.json", "--seed", 1)
    assert code == 1
    assert "was made with seed 0; this run has seed 1" in said
    assert not (tmp_path / "one" / "more.json").exists()


def test_bags_alone_need_to_know_where_slides_are(
    pathdata: Pathdata, work: Path, labels: Path, slides_folder: Path, tmp_path: Path
) -> None:
    words = asked(labels, work / "bags", 2)
    code, said = pathdata(*words, "--out", tmp_path / "x.json")
    assert code == 1
    assert "no slide of this name was found; pass --slides FOLDER" in said
    assert "2 of 2 samples cannot be used: 2 x slide failed" in said
    assert pathdata(*words, "--out", tmp_path / "x.json", "--slides", slides_folder)[0] == 0
    code, said = pathdata(*words, "--out", tmp_path / "y.json")
    assert code == 0, said  # what is done needs no slide
    assert said.count("(exists already)") == 2


def test_pictures_of_patch_are_copied_and_no_slide_is_needed(
    pathdata: Pathdata, slides_folder: Path, labels: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "slides"
    moved.mkdir()
    shutil.copy(slides_folder / "a.svs", moved)
    patch = ("patch", moved, "--out", tmp_path / "w", "--patch-size", 160, "--save-patches", "png")
    assert pathdata(*patch)[0] == 0
    shutil.rmtree(moved)
    words = ("convert", "slides", labels, "--from", "labels", "--patches", tmp_path / "w", *ONE, "--per-slide", 3)
    out = tmp_path / "data.json"
    code, said = pathdata(*words, "--out", out)
    assert code == 1
    assert "1 of 2 samples cannot be used: 1 x no patches" in said
    assert not (tmp_path / "slide_pictures").exists()
    code, said = pathdata(*words, "--out", out, "--on-bad", "skip")
    assert code == 0, said
    (row,) = rows_of(out)
    for name in row["images"]:
        copy = tmp_path / "w" / "patches" / "a" / f"a_{Path(name).name}"
        assert (tmp_path / name).read_bytes() == copy.read_bytes()
    assert (tmp_path / "data.json.bad.jsonl").exists()


def test_another_slide_under_the_name_is_refused(
    pathdata: Pathdata, work: Path, labels: Path, slides_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(slides_folder / "b.svs", other / "a.svs")
    shutil.copy(slides_folder / "b.svs", other / "b.svs")
    words = (
        "convert",
        "slides",
        labels,
        "--from",
        "labels",
        "--patches",
        work,
        *ONE,
        "--slides",
        other,
        "--per-slide",
        2,
    )
    code, said = pathdata(*words, "--out", tmp_path / "x.json", "--on-bad", "skip")
    assert code == 0
    assert "two slides called 'a'" in said
    assert [row["id"] for row in rows_of(tmp_path / "x.json")] == ["b"]


def test_several_slides_a_sample_and_a_dry_run(pathdata: Pathdata, work: Path, tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\n<image>\nSame?"}, {"from": "gpt", "value": "No."}]
    rows = [{"id": "1", "image": ["old/b.svs.h5", "a.csv"], "conversations": turns}]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    words = ("convert", "slides", tmp_path / "in.json", "--from", "llava", "--patches", work, *ONE, "--per-slide", 2)
    code, said = pathdata(*words, "--out", tmp_path / "out.jsonl", "--dry-run")
    assert code == 0
    assert "1 sample would be written" in said
    assert not (tmp_path / "slide_pictures").exists()
    assert pathdata(*words, "--out", tmp_path / "out.jsonl", "--positions", "normalised")[0] == 0
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert [Path(name).parent.name for name in row["images"]] == ["b", "b", "a", "a"]
    assert row["conversations"][0]["value"].startswith("Slide 1, patch 1 at x 0.")
    assert row["conversations"][0]["value"].count("<image>") == 4
