"""``pathdata pathgen extract`` on real slides: what is written, what is reported, and what a second run does."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

openslide = pytest.importorskip("openslide")

Pathdata = Callable[..., tuple[int, str]]
A, B = "TCGA-AA-0001-01Z-00-DX1.0A1b2C3d", "TCGA-BB-0002-01Z-00-DX1.9f8E7d6C"
PLACES = {A: [(700, 300), (0, 32), (32, 0), (256, 320)], B: [(64, 64), (480, 416)]}
SMALL = ("--size", 160, "--workers", 1)


@pytest.fixture(scope="session")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides as gdc-client leaves them: in folders, with logs, half a download, and a UUID in other case."""
    from pathplugins.data_tools.slides.demo import write_demo_slide

    folder = tmp_path_factory.mktemp("downloaded")
    write_demo_slide(folder / "1111" / f"{A}.svs", (1411, 1003), seed=1)
    write_demo_slide(folder / "2222" / f"{B.upper()}.svs", (1203, 1109), seed=2, kind=1)
    for name in (f"logs/{A}.svs", f"{B}.svs.partial"):
        (folder / "1111" / name).parent.mkdir(exist_ok=True)
        (folder / "1111" / name).write_text("not a slide")
    return folder


def rows(places: dict[str, list[tuple[int, int]]] = PLACES) -> list[dict[str, Any]]:
    """Captions, slides mixed."""
    found = [(place, name) for name, there in places.items() for place in there]
    random.Random(0).shuffle(found)
    texts = [(name, place, f"Tissue at {place} of {name[:7]}.") for place, name in found]
    return [{"wsi_id": name, "position": [str(x), str(y)], "caption": text} for name, (x, y), text in texts]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """The caption file."""
    path = tmp_path / "PathGen.json"
    path.write_text(json.dumps(rows()))
    return path


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def failures(folder: Path) -> list[tuple[str, str, int]]:
    lines = map(json.loads, (folder / "failures.jsonl").read_text().splitlines())
    return [(line["wsi_id"], line["reason"], line["pairs"]) for line in lines]


def written_files(folder: Path) -> dict[str, bytes]:
    """Pictures, texts, shards and the manifest; not what the engine notes for itself."""
    kept = (path for path in folder.rglob("*") if path.is_file() and path.name != "plan.sqlite")
    return {n: p.read_bytes() for p in kept if not (n := str(p.relative_to(folder))).startswith(("state", "locks"))}


def stamps(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in written_files(folder) if name != "manifest.jsonl"}


def test_pictures_and_manifest(pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "pairs", rows()
    source[2]["file_id"] = "uuid"
    named = source[2]["wsi_id"]
    again = {**source[0], "caption": "Other words."}
    captions.write_text(json.dumps([*source, source[0], again]))
    code, said = pathdata("pathgen", "extract", captions, "--slides", downloaded, "--out", out, "--workers", 1)
    assert code == 0, said
    lines = manifest(out)
    order = list(dict.fromkeys(row["wsi_id"] for row in source))
    wanted = [row for name in order for row in [*source, again] if row["wsi_id"] == name]
    assert [(line["wsi_id"], line["caption"]) for line in lines] == [(row["wsi_id"], row["caption"]) for row in wanted]
    assert f"{out / 'manifest.jsonl'}: 7 pairs, 6 pictures of 2 slides; 1 exact repeat left out" in said
    for line in lines:
        assert line["image"] == f"{line['wsi_id']}/{line['x']}_{line['y']}.jpg"
        size = {"size": 672, "size_level0": 672, "mpp": 0.5, "mpp_source": "openslide.mpp-x"}
        assert line.items() >= size.items()
        assert line.get("file_id") == ("uuid" if line["wsi_id"] == named else None)
        slide = next(path for path in downloaded.glob("*/*.svs") if path.stem.lower() == line["wsi_id"].lower())
        pixels = published(slide, line["x"], line["y"])
        expected = io.BytesIO()
        Image.fromarray(pixels).save(expected, format="JPEG", quality=90)
        picture = Image.open(out / line["image"])
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (672, 672))
        assert np.abs(np.asarray(picture, int) - np.asarray(Image.open(expected), int)).max() <= 2
    assert len(list(out.glob("*/*.jpg"))) == 6
    assert not list(out.rglob(".*"))


def published(slide: Path, x: int, y: int, size: int = 672) -> np.ndarray:
    """Return the pixels that the snippet of PathGen's README saves as RGBA, without the fourth channel."""
    buffer = io.BytesIO()
    openslide.OpenSlide(str(slide)).read_region((x, y), 0, (size, size)).save(buffer, format="PNG")
    return np.asarray(Image.open(buffer))[..., :3]


def test_flat_png_has_the_pixels_and_names_of_the_readme(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pairs"
    words = ("--format", "png", "--naming", "flat", "--captions", "--workers", 1)
    code, said = pathdata("pathgen", "extract", captions, "--slides", downloaded, "--out", out, *words)
    assert code == 0, said
    for row in rows():
        x, y = map(int, row["position"])
        stem = f"{row['wsi_id']}_{x}_{y}"
        slide = next(path for path in downloaded.glob("*/*.svs") if path.stem.lower() == row["wsi_id"].lower())
        picture = Image.open(out / f"{stem}.png")
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), published(slide, x, y))
        assert (out / f"{stem}.txt").read_text() == row["caption"]
    assert {line["image"] for line in manifest(out)} == {path.name for path in out.glob("*.png")}


def test_a_real_slide_under_an_id_of_the_data(pathdata: Pathdata, real_slide: Path, tmp_path: Path) -> None:
    name = "TCGA-55-8621-01Z-00-DX1.DA2ABE66-5E1D-4F3C-A1C8-6FDF2B6B8A3F"
    (tmp_path / "slides" / "f00d").mkdir(parents=True)
    (tmp_path / "slides" / "f00d" / f"{name.lower()}.SVS").symlink_to(real_slide)
    (tmp_path / "rows.json").write_text(json.dumps(rows({name: [(512, 1024), (1536, 2272)]})))
    words = ("--out", tmp_path / "out", "--format", "png", "--workers", 1)
    code, said = pathdata("pathgen", "extract", tmp_path / "rows.json", "--slides", tmp_path / "slides", *words)
    assert code == 0, said
    lines = manifest(tmp_path / "out")
    assert {line["mpp"] for line in lines} == {0.499}
    for line in lines:
        pixels = np.asarray(Image.open(tmp_path / "out" / line["image"]))
        assert np.array_equal(pixels, published(real_slide, line["x"], line["y"]))


def test_webdataset_is_the_same_from_one_process_and_from_two(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path
) -> None:
    captions.write_text(json.dumps([*rows(), {**rows()[0], "caption": "Other words."}]))
    words = ("--slides", downloaded, "--format", "webdataset", "--size", 160)
    for workers in (1, 2):
        out = tmp_path / str(workers)
        code, said = pathdata("pathgen", "extract", captions, *words, "--out", out, "--workers", workers)
        assert code == 0, said
    assert written_files(tmp_path / "1") == written_files(tmp_path / "2")
    samples: dict[tuple[str, str], dict[str, bytes]] = {}
    for shard in (tmp_path / "1").glob("*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")  # as WebDataset cuts names
                samples.setdefault((shard.name, key), {})[suffix] = tar.extractfile(member).read()
    lines = manifest(tmp_path / "1")
    assert {(line["shard"], line["key"]) for line in lines} == samples.keys()
    assert len(samples) == len(lines) == 7
    for line in lines:
        sample = samples[line["shard"], line["key"]]
        assert (sample["txt"].decode(), json.loads(sample["json"])) == (line["caption"], line)
        assert Image.open(io.BytesIO(sample["jpg"])).size == (160, 160)


def test_positions_beyond_the_slide_are_left_out_or_flagged(
    pathdata: Pathdata, downloaded: Path, tmp_path: Path
) -> None:
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows({A: [(0, 0), (1331, 100), (5000, 5000)]})))  # 1411 x 1003
    words = ("pathgen", "extract", source, "--slides", downloaded, *SMALL)
    code, said = pathdata(*words, "--out", tmp_path / "skip")
    assert code == 1
    assert "missing: 2 pairs: 2 for 2 x outside the slide" in said
    assert f"{A} at (1331, 100): outside the slide: 50% of its box lies beyond the slide" in said
    assert failures(tmp_path / "skip") == [(A, "outside the slide", 1)] * 2
    assert [line["x"] for line in manifest(tmp_path / "skip")] == [0]
    assert pathdata(*words, "--out", tmp_path / "skip")[0] == 1  # a second run does not make it well
    code, said = pathdata(*words, "--out", tmp_path / "pad", "--outside", "pad", "--format", "png")
    assert code == 1
    assert "missing: 1 pair" in said  # nothing of it is on the slide
    lines = {line["x"]: line for line in manifest(tmp_path / "pad")}
    assert {x: line.get("outside") for x, line in lines.items()} == {0: None, 1331: 0.5}
    pixels = np.asarray(Image.open(tmp_path / "pad" / lines[1331]["image"]))
    assert (pixels[:, 80:] == 255).all()
    assert not (pixels[:, :80] == 255).all()


def test_missing_slides(pathdata: Pathdata, downloaded: Path, tmp_path: Path) -> None:
    gone = "TCGA-GO-0003-01Z-00-DX1.e"
    source, out = tmp_path / "rows.json", tmp_path / "out"
    source.write_text(json.dumps(rows({**PLACES, gone: [(0, 0), (32, 32)]})))
    words = ("pathgen", "extract", source, "--slides", downloaded, "--out", out, *SMALL)
    code, said = pathdata(*words)
    assert code == 1
    assert f"1 of 3 slides are not below --slides (2 of 8 patches):\n  {gone}: 2 patches" in said
    assert failures(out) == [(gone, "missing slide", 2)]
    assert len(manifest(out)) == 6
    code, said = pathdata(*words, "--missing-slides", "skip")
    assert (code, said.count("exists already")) == (0, 2)
    assert f"{gone}: missing slide: its file is not below --slides" in said
    source.write_text(json.dumps(rows({gone: [(0, 0)]})))
    code, said = pathdata(*words)
    assert code == 2
    assert f"none of the 1 slides of {source} is below --slides {downloaded}" in said


def test_a_damaged_slide_stops_no_other(pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / f"{A}.svs").symlink_to(downloaded / "1111" / f"{A}.svs")
    whole = (downloaded / "2222" / f"{B.upper()}.svs").read_bytes()
    (folder / f"{B}.svs").write_bytes(whole[: len(whole) // 3])
    words = ("pathgen", "extract", captions, "--slides", folder, "--out", tmp_path / "out", *SMALL)
    code, said = pathdata(*words)
    assert code == 1
    assert f"1 of 2 slides failed; tracebacks are in {tmp_path / 'out' / 'errors'}" in said
    assert failures(tmp_path / "out") == [(B, "failed slide", 2)]
    assert {line["wsi_id"] for line in manifest(tmp_path / "out")} == {A}
    assert not (tmp_path / "out" / B).exists()
    (folder / f"{B}.svs").write_bytes(whole)  # downloaded again
    code, said = pathdata(*words)
    assert (code, len(manifest(tmp_path / "out"))) == (0, 6), said
    assert not (tmp_path / "out" / "failures.jsonl").exists()


def test_bad_rows_stop_it_unless_they_may_be_left_out(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    captions.write_text(json.dumps([{"wsi_id": A, "position": ["1", "x"], "caption": "c"}, *rows(), {"wsi_id": A}]))
    words = ("pathgen", "extract", captions, "--slides", downloaded, "--out", out, *SMALL)
    code, said = pathdata(*words)
    assert code == 1
    assert "2 of 8 samples cannot be used" in said
    assert f"{captions}:1: bad position: " in said
    assert "nothing was done; correct these rows, or pass --on-bad skip" in said
    assert [json.loads(line)["row"] for line in (out / "bad.jsonl").read_text().splitlines()] == [1, 8]
    assert {path.name for path in out.iterdir()} == {"bad.jsonl", "locks"}
    code, said = pathdata(*words, "--on-bad", "skip")
    assert (code, len(manifest(out))) == (0, 6), said
    code, said = pathdata(*words, "--on-bad", "skip")
    assert f"left out: 2 bad rows; all: {out / 'bad.jsonl'}" in said
    assert pathdata(*words)[0] == 1  # they are bad still


@pytest.mark.parametrize("naming", ["slide", "flat"])
def test_a_second_run_redoes_what_changed_alone(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path, naming: str
) -> None:
    out = tmp_path / "out"
    words = (
        "pathgen",
        "extract",
        captions,
        "--slides",
        downloaded,
        "--out",
        out,
        "--naming",
        naming,
        "--captions",
        *SMALL,
    )
    assert pathdata(*words)[0] == 0
    before, names = stamps(out), written_files(out)
    code, said = pathdata(*words)
    assert (code, said.count("exists already")) == (0, 2)
    assert stamps(out) == before
    assert written_files(out) == names
    x, y = PLACES[A][0]
    (out / f"{A}{'/' if naming == 'slide' else '_'}{x}_{y}.txt").unlink()  # somebody tidied up
    code, said = pathdata(*words)
    assert (code, said.count("exists already"), written_files(out)) == (0, 1, names)
    before = stamps(out)
    captions.write_text(json.dumps([row for row in rows() if row["position"] != [str(x), str(y)]]))
    code, said = pathdata(*words)
    assert (code, said.count("exists already")) == (0, 1)
    after = stamps(out)
    assert {name for name in before if B in name and before[name] == after.get(name)} == {n for n in before if B in n}
    assert len(list(out.rglob("*.jpg"))) == len(list(out.rglob("*.txt"))) == len(manifest(out)) == 5


def test_another_slide_under_the_name_is_refused_and_a_moved_one_is_not(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path
) -> None:
    slides, out = tmp_path / "slides", tmp_path / "out"
    shutil.copytree(downloaded, slides)
    assert pathdata("pathgen", "extract", captions, "--slides", slides, "--out", out, *SMALL)[0] == 0
    slides.rename(tmp_path / "moved")
    code, said = pathdata("pathgen", "extract", captions, "--slides", tmp_path / "moved", "--out", out, *SMALL)
    assert (code, said.count("exists already")) == (0, 2), said
    shutil.copyfile(next((tmp_path / "moved" / "2222").iterdir()), tmp_path / "moved" / "1111" / f"{A}.svs")
    code, said = pathdata("pathgen", "extract", captions, "--slides", tmp_path / "moved", "--out", out, *SMALL)
    assert code == 1
    assert f"{A}.jsonl was made from another slide, {slides}" in said


def test_slides_may_go_once_they_are_done(pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "slides", tmp_path / "out"
    folder.mkdir()
    words = ("pathgen", "extract", captions, "--slides", folder, "--out", out, *SMALL)
    for slide in (
        downloaded / "1111" / f"{A}.svs",
        downloaded / "2222" / f"{B.upper()}.svs",
    ):  # a download in two halves
        (folder / slide.name).symlink_to(slide)
        code, _ = pathdata(*words)
        (folder / slide.name).unlink()
    assert (code, len(manifest(out))) == (0, 6)
    next((out / A).iterdir()).unlink()
    code, said = pathdata(*words)
    assert code == 1
    assert f"{A}: some of its pictures or texts have changed since they were made, and its slide is no longer" in said
    assert {line["wsi_id"] for line in manifest(out)} == {B}
    assert failures(out) == [(A, "failed slide", 4)]


def test_other_settings_are_refused_and_overwritten_when_asked(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("pathgen", "extract", captions, "--slides", downloaded, "--out", out, *SMALL)
    assert pathdata(*words)[0] == 0
    before = written_files(out)
    code, said = pathdata(*words, "--quality", 95)
    assert code == 2
    assert "was made with quality 90; this run has quality 95: pass --overwrite" in said
    assert written_files(out) == before
    assert pathdata(*words, "--slide-mpp", 0.25, "--outside", "pad")[0] == 0  # makes no difference to these slides
    code, said = pathdata(*words, "--format", "webdataset", "--overwrite")
    assert code == 0, said
    assert {path.name for path in out.iterdir() if A in path.name or B in path.name} == {f"{A}.tar", f"{B}.tar"}
    code, said = pathdata(*words, "--naming", "flat", "--overwrite")
    assert (code, len(list(out.glob("*.jpg"))), list(out.glob("*.tar"))) == (0, 6, []), said


def test_an_older_part_never_vouches_for_newer_pictures(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the pictures of other settings took their places, before that was noted."""
    out = tmp_path / "out"
    words = ("pathgen", "extract", captions, "--slides", downloaded, "--out", out, *SMALL)
    assert pathdata(*words)[0] == 0
    before = written_files(out)

    def stopped(*_: object) -> None:
        raise OSError("stopped here")

    with monkeypatch.context() as patched:
        patched.setattr("pathplugins.data_tools.pathgen.pairs.extract.write_finished", stopped)
        assert pathdata(*words, "--quality", 20, "--overwrite")[0] == 1
    code, said = pathdata(*words)
    assert (code, written_files(out) == before) == (0, True), said


def test_resolutions(pathdata: Pathdata, downloaded: Path, tmp_path: Path) -> None:
    plain = "plain.one"
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / f"{A}.svs").symlink_to(downloaded / "1111" / f"{A}.svs")
    Image.new("RGB", (700, 600), "pink").save(folder / f"{plain}.png")
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows({A: [(0, 32)], plain: [(32, 0)]})))
    words = ("pathgen", "extract", source, "--slides", folder, *SMALL)
    assert pathdata(*words, "--out", tmp_path / "as-published")[0] == 0
    found = {line["wsi_id"]: line for line in manifest(tmp_path / "as-published")}
    assert (found[A]["mpp"], found[plain]["mpp"], found[plain]["mpp_source"]) == (0.5, None, None)
    code, said = pathdata(*words, "--out", tmp_path / "mpp", "--mpp", 1)
    assert code == 1
    assert "plain.one.png: records no microns per pixel; pass --slide-mpp" in said
    code, said = pathdata(*words, "--out", tmp_path / "mpp", "--mpp", 1, "--slide-mpp", 0.8)
    assert code == 0, said
    found = {line["wsi_id"]: line for line in manifest(tmp_path / "mpp")}
    assert {name: line["size_level0"] for name, line in found.items()} == {A: 320, plain: 200}
    assert {line["size"] for line in found.values()} == {160}
    assert found[plain]["mpp_source"] == "--slide-mpp"
    with openslide.OpenSlide(downloaded / "1111" / f"{A}.svs") as slide:
        region = slide.read_region((0, 32), 0, (320, 320)).convert("RGB").resize((160, 160), Image.Resampling.BICUBIC)
    off = np.abs(np.asarray(Image.open(tmp_path / "mpp" / found[A]["image"]), int) - np.asarray(region, int))
    assert off.mean() < 6
    (tmp_path / "mpp.csv").write_text(f"slide,mpp\n{A.lower()}.svs,0.25\n")
    code, said = pathdata(*words, "--out", tmp_path / "mpp", "--mpp", 1, "--mpp-csv", tmp_path / "mpp.csv")
    assert code == 2
    assert "mpp_of_the_slide None; this run has mpp_of_the_slide 0.25" in said
    code, said = pathdata(*words, "--out", tmp_path / "sharp", "--mpp", 0.25)
    assert code == 1
    assert "up-sampling is not supported" in said


def test_conversations_of_pathgen_instruct(pathdata: Pathdata, downloaded: Path, tmp_path: Path) -> None:
    source, out, samples = tmp_path / "instruct.json", tmp_path / "out", []
    for number, (x, y) in enumerate([(32, 64), (32, 64), (320, 0)]):
        turns = [{"from": "human", "value": f"Question {number}?\n<image>"}, {"from": "gpt", "value": "Yes."}]
        place = {"wsi_id": A, "file_id": "1111", "position": [str(x), str(y)]}
        image = f"{A}/{x}_{y}.jpg"
        samples.append({"id": f"q{number}", "image": image, "conversations": turns, "type": "CLOSE", **place})
    source.write_text(json.dumps(samples))
    code, said = pathdata("pathgen", "extract", source, "--slides", downloaded, "--out", out, *SMALL)
    assert code == 0, said
    keys = ("id", "image", "conversations", "type", "wsi_id", "file_id")
    assert [{key: line[key] for key in keys} for line in manifest(out)] == [
        {key: sample[key] for key in keys} for sample in samples
    ]
    assert {str(path.relative_to(out)) for path in out.glob("*/*.jpg")} == {sample["image"] for sample in samples}


def test_a_dry_run_writes_nothing(pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = pathdata("pathgen", "extract", captions, "--slides", downloaded, "--out", out, "--dry-run")
    assert code == 0
    assert "2 of 2 slides would be done; nothing was written" in said
    assert not out.exists()
    captions.write_text(json.dumps([*rows(), {"wsi_id": A}]))
    code, said = pathdata("pathgen", "extract", captions, "--slides", downloaded, "--out", out, "--dry-run")
    assert (code, "All of them" in said, out.exists()) == (1, False, False)


def test_json_says_what_there_is(
    downloaded: Path, captions: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.data_tools.cli import main

    captions.write_text(json.dumps(rows({**PLACES, "gone": [(0, 0)]})))
    words = ["pathgen", "extract", captions, "--slides", downloaded, "--out", tmp_path / "out", *SMALL, "--json"]
    assert main([*map(str, words)]) == 1
    assert json.loads(capfd.readouterr().out) == {
        **{"slides": 2, "pairs": 6, "pictures": 6, "repeats": 0},
        **{"lost": {"missing slide": 1}, "out": str(tmp_path / "out")},
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--size", 0), "--size must be at least 1 pixel, got 0"),
        (("--quality", 101), "--quality must be 1 to 100, got 101"),
        (("--png-level", 10), "--png-level must be 0 to 9, got 10"),
        (("--mpp", 0), "--mpp must be microns per pixel above 0"),
    ],
)
def test_options_out_of_range(
    pathdata: Pathdata, downloaded: Path, captions: Path, tmp_path: Path, words: tuple[object, ...], complaint: str
) -> None:
    code, said = pathdata("pathgen", "extract", captions, "--slides", downloaded, "--out", tmp_path / "out", *words)
    assert (code, complaint in said) == (2, True)


def test_killed_at_any_moment_and_started_again(pathdata: Pathdata, downloaded: Path, tmp_path: Path) -> None:
    """Half-written pictures, parts, plans: the next run removes them, and nothing is lost or there twice."""
    source, calm, hit = tmp_path / "rows.json", tmp_path / "calm", tmp_path / "hit"
    places = [(x, y) for x in range(0, 700, 32) for y in range(0, 320, 32)]
    source.write_text(json.dumps(rows({A: places, B: places})))
    words = ("pathgen", "extract", source, "--slides", downloaded, "--format", "png", "--size", 256)
    command = [sys.executable, "-m", "pathplugins.data_tools", *map(str, words), "--out", str(hit), "--workers", "1"]
    draw = random.Random(1)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while not list(hit.glob(".*.tmp/*")) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert list(hit.glob(".*.tmp"))
    for name in (".plan.sqlite.1-00000000.tmp", ".manifest.jsonl.1-00000000.tmp"):
        (hit / name).write_text("half")
    for out in (hit, calm):
        code, said = pathdata(*words, "--out", out, "--workers", 1)
        assert code == 0, said
    assert written_files(hit) == written_files(calm)
    assert len(manifest(hit)) == 2 * len(places)
    assert not list(hit.rglob(".*.tmp"))
