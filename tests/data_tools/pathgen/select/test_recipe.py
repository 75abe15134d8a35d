"""``pathdata pathgen select`` on demo slides with an untrained CLIP: what it writes, and that it is what it says."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip")
pytest.importorskip("sklearn")
pytest.importorskip("yaml")

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.clip.model import ClipChoice, load_clip
from pathplugins.data_tools.slides.demo import write_demo_slide
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.slides.svs_writer import write_svs

Command = Callable[..., tuple[int, str]]
A1, GBM = "TCGA-A1-0001-01Z-00-DX1.AbC-1", "TCGA-02-0002-01Z-00-DX1.dEf"
PROMPTS = {"TCGA-BRCA": ["a gland", "tumour in fat", "stroma"], "TCGA-GBM": ["necrosis", "glial cells"]}
REPORTS = {f"some/folder/{A1.upper()}.svs": {"refined": {"d": "ductal cancer", "m": "margins free"}}}


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("select") / "slides"
    (folder / "uuid-1").mkdir(parents=True)  # as gdc-client lays them out
    write_demo_slide(folder / "uuid-1" / f"{A1}.svs", (1411, 1003), seed=1, kind=0)
    write_demo_slide(folder / f"{GBM}.svs", (1203, 1509), seed=2, kind=1)
    return folder


@pytest.fixture(scope="module")
def options(transformers_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "prompts.yaml").write_text(json.dumps(PROMPTS))  # JSON is YAML
    (folder / "reports.json").write_text(json.dumps(REPORTS))
    texts = ["--prompts", folder / "prompts.yaml", "--reports", folder / "reports.json"]
    sizes = ["--patch-size", 96, "--target", 16, "--max-similarity", 1]
    return ["--clip", transformers_clip, "--device", "cpu", *texts, *sizes]


@pytest.fixture(scope="module")
def selected(slides: Path, options: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work folder of one run over both slides, which no test may change."""
    work = tmp_path_factory.mktemp("selected") / "work"
    assert main([str(word) for word in ("pathgen", "select", slides, "--out", work, *options)]) == 0
    return work


def rows_of(work: Path) -> list[dict]:
    return [json.loads(line) for line in (work / "manifest.jsonl").read_text().splitlines()]


def contents(work: Path) -> dict[str, str]:
    """Return a hash of each file that does not depend on when and where the run took place."""
    files = [p for p in work.rglob("*") if p.is_file() and p.relative_to(work).parts[0] in ("images", "slides")]
    files.append(work / "manifest.jsonl")
    return {str(p.relative_to(work)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def test_it_writes_what_it_says(selected: Path, slides: Path, transformers_clip: Path) -> None:
    work = selected
    rows = rows_of(work)
    assert [sum(row["wsi_id"] == slide for row in rows) for slide in (A1, GBM)] == [16, 16]
    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    for slide_id, project, path in (
        (A1, "TCGA-BRCA", slides / "uuid-1" / f"{A1}.svs"),
        (GBM, "TCGA-GBM", slides / f"{GBM}.svs"),
    ):
        mine = [row for row in rows if row["wsi_id"] == slide_id]
        with h5py.File(work / "slides" / slide_id / "features.h5") as file:
            features, coords = file["features"][:], file["coords"][:]
            clusters, direct = file["clusters"][:], file["direct_scores"][:]
            assert file.attrs["slide_id"] == slide_id
            assert (file["coords"].attrs["patch_size_level0"], file["coords"].attrs["mpp"]) == (96, 0.5)
        assert features.dtype == np.float16
        assert features.shape == (len(coords), 24)
        with Slide(path) as slide:
            for index in (0, len(coords) - 1):
                pixels = slide.read(*coords[index].tolist(), (96, 96), (96, 96))
                np.testing.assert_allclose(features[index], clip.patches([pixels])[0], atol=2e-3)
            for row in mine[:3]:
                saved = np.asarray(Image.open(work / row["image"]).convert("RGB"), np.int16)
                real = slide.read(row["x"], row["y"], (96, 96), (96, 96)).astype(np.int16)
                assert np.abs(saved - real).mean() < 4
        scores = 100 * features.astype(np.float32) @ clip.texts(PROMPTS[project]).T  # [N, P]
        np.testing.assert_allclose(direct, scores.max(axis=1), atol=1e-3)
        places = {tuple(xy): n for n, xy in enumerate(coords.tolist())}
        order = np.argsort(-direct, kind="stable").tolist()
        for row in mine:
            index = places[row["x"], row["y"]]
            assert row["image"] == f"images/{slide_id}/{row['x']}_{row['y']}.jpg"
            assert order[row["direct_rank"] - 1] == index
            assert row["prompt"] == PROMPTS[project][scores[index].argmax()]
            assert row["cluster"] == clusters[index]
            assert (row["project"], row["size"], row["size_level0"], row["mpp"]) == (project, 96, 96, 0.5)
        by_direct = [row["direct_rank"] for row in mine if row["chosen_by"] == "direct"]
        assert by_direct == [*range(1, len(by_direct) + 1)]
        metrics = json.loads((work / "slides" / slide_id / "metrics.json").read_text())
        assert (metrics["patches"], metrics["chosen"]) == (len(coords), 16)
        assert metrics["clusters"] == len({*clusters.tolist()}) <= int(np.ceil(np.sqrt(len(coords) * 1.6)))
        assert -1 <= metrics["silhouette"] <= 1
    report = [row for row in rows if row["chosen_by"] == "report"]
    before = {row["report_rank"] for row in rows if row["wsi_id"] == A1 and row["chosen_by"] == "direct"}
    assert [row["report_rank"] for row in report] == [rank for rank in range(1, 9) if rank not in before][:4]
    assert {row["wsi_id"] for row in report} == {A1}
    assert {row["organ"] for row in rows} == {"breast", "brain"}
    pictures = {path.name for path in (work / "slides" / A1).glob("*.png")}
    assert pictures == {"direct.png", "report.png", "clusters.png"}
    assert not (work / "slides" / GBM / "report.png").exists()
    assert len([*(work / "images").rglob("*.jpg")]) == 32


def test_two_workers_choose_the_same(
    pathdata: Command, selected: Path, slides: Path, options: list[object], tmp_path: Path
) -> None:
    code, said = pathdata("pathgen", "select", slides, "--out", tmp_path / "s", "--workers", 2, *options)
    assert code == 0, said
    found, wanted = contents(tmp_path / "s"), contents(selected)
    assert [*found] == [*wanted]
    pictures = [name for name in wanted if name.startswith("images/")]
    assert len(pictures) == 32
    assert [found[name] for name in pictures] == [wanted[name] for name in pictures]
    for mine, theirs in zip(rows_of(tmp_path / "s"), rows_of(selected), strict=True):  # threads may decide a last bit
        assert {k: v for k, v in mine.items() if "score" not in k} == {
            k: v for k, v in theirs.items() if "score" not in k
        }
        assert mine["direct_score"] == pytest.approx(theirs["direct_score"], abs=0.05)


def test_no_slide_leaves_anything_to_the_next(
    pathdata: Command, selected: Path, slides: Path, options: list[object], tmp_path: Path
) -> None:
    for part in ("1:2", "0:1"):  # the other way round, each in a run of its own
        assert pathdata("pathgen", "select", slides, "--range", part, "--out", tmp_path / "s", *options)[0] == 0
    assert contents(tmp_path / "s") == contents(selected)


def test_it_goes_on_where_it_stopped(
    pathdata: Command, selected: Path, slides: Path, options: list[object], tmp_path: Path
) -> None:
    work = shutil.copytree(selected, tmp_path / "work")
    before = contents(work)
    shutil.rmtree(work / "slides" / A1)
    shutil.rmtree(work / "images" / GBM)
    command = ["pathgen", "select", slides, "--out", work, *options]
    code, said = pathdata(*command)
    assert code == 0
    assert f"1 of 2 slides have no report and no ranking by one: {GBM}" in said
    assert said.count("have no report") == 1
    assert contents(work) == before
    code, said = pathdata(*command)
    assert code == 0
    assert said.count("exists already") == 2
    other = shutil.copytree(slides, tmp_path / "other")
    first, second = sorted(path for path in other.rglob("*") if path.stem in (A1, GBM))
    shutil.copyfile(first, second)  # another slide under the name of the second
    code, said = pathdata("pathgen", "select", other, "--out", work, *options)
    assert (code, said.count("exists already")) == (1, 1), said
    assert "was made from another slide" in said
    code, said = pathdata(*command, "--seed", 7)
    assert code == 1
    assert "was made with seed 0; this run has seed 7" in said
    assert contents(work) == before
    assert pathdata(*command, "--seed", 7, "--overwrite", "--range", ":1")[0] == 0
    assert contents(work) != before


def test_open_clip_lists_masks_and_a_fixed_field_of_view(
    pathdata: Command, slides: Path, options: list[object], open_clip_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(f"{slides / f'{GBM}.svs'}\n\n")
    mask = np.zeros((1509, 1203), np.uint8)
    mask[200:960, 320:1000] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / f"{GBM}.png")
    more = [
        "--clip",
        open_clip_folder,
        "--mask",
        tmp_path / "masks",
        "--mpp",
        1.0,
        "--clusters",
        3,
        "--shares",
        "0,0,1",
    ]
    code, said = pathdata("pathgen", "select", tmp_path / "list.txt", "--out", tmp_path / "s", *options, *more)
    assert code == 0, said
    rows = rows_of(tmp_path / "s")
    assert {row["chosen_by"] for row in rows} == {"spread"}
    assert {(row["size"], row["size_level0"], row["mpp"]) for row in rows} == {(96, 192, 1.0)}
    assert all(320 - 97 <= row["x"] <= 1000 - 96 and 200 - 97 <= row["y"] <= 960 - 96 for row in rows)
    assert Image.open(tmp_path / "s" / rows[0]["image"]).size == (96, 96)
    (tmp_path / "list.txt").write_text("not/there.svs\nnor/there.svs\n")
    code, said = pathdata("pathgen", "select", tmp_path / "list.txt", "--out", tmp_path / "s", *options)
    assert code == 2
    assert "2 of its 2 slides do not exist" in said


def test_slides_with_few_patches_and_with_none(pathdata: Command, options: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    picture = np.full((640, 704, 3), 244, np.uint8)
    write_svs(folder / "none.svs", [picture], mpp=0.5, magnification=20)
    for name, across in (("one", 1), ("three", 3)):
        mine, size = picture.copy(), (192, 192 * across, 3)
        tissue = np.random.default_rng(across).integers((150, 40, 120), (220, 110, 190), size, np.uint8)
        mine[64 : 64 + size[0], 64 : 64 + size[1]] = tissue
        write_svs(folder / f"{name}.svs", [mine], mpp=0.5, magnification=20)
    more = ["--project", "TCGA-BRCA", "--patch-size", 192, "--batch-size", 2]  # three patches end in a batch of one
    code, said = pathdata("pathgen", "select", folder, "--out", tmp_path / "s", *options, *more)
    assert code == 1
    assert "1 of 3 slides failed" in said
    assert "none.svs: no patch of 192 level-0 pixels" in said
    counts = {name: sum(row["wsi_id"] == name for row in rows_of(tmp_path / "s")) for name in ("one", "three", "none")}
    assert counts == {"one": 1, "three": 3, "none": 0}
    metrics = json.loads((tmp_path / "s" / "slides" / "one" / "metrics.json").read_text())
    assert (metrics["clusters"], metrics["silhouette"]) == (1, None)


def test_near_duplicates_are_left_out(pathdata: Command, slides: Path, options: list[object], tmp_path: Path) -> None:
    more = ["--max-similarity", 0.995, "--target", 60]
    assert pathdata("pathgen", "select", slides, "--range", ":1", "--out", tmp_path / "s", *options, *more)[0] == 0
    (slide,) = {row["wsi_id"] for row in rows_of(tmp_path / "s")}
    with h5py.File(tmp_path / "s" / "slides" / slide / "features.h5") as file:
        places = {tuple(xy): n for n, xy in enumerate(file["coords"][:].tolist())}
        chosen = [places[row["x"], row["y"]] for row in rows_of(tmp_path / "s")]
        features = file["features"][:].astype(np.float32)
    similar = features[chosen] @ features[chosen].T
    assert (similar[~np.eye(len(chosen), dtype=bool)] <= 0.995 + 1e-6).all()
    metrics = json.loads((tmp_path / "s" / "slides" / slide / "metrics.json").read_text())
    assert metrics["near_duplicates_left_out"] > 0
    assert len(chosen) < min(60, len(features))


def test_projects_are_asked_for_before_the_work_starts(
    pathdata: Command, slides: Path, options: list[object], tmp_path: Path, sharp_slide: Path
) -> None:
    code, said = pathdata("pathgen", "select", slides, sharp_slide, "--out", tmp_path / "s", *options)
    assert code == 2
    assert "the project of 1 of 3 slides is unknown" in said
    assert "sharp" in said
    assert not (tmp_path / "s").exists()
    (tmp_path / "p.csv").write_text("slide,project\nsharp.svs,TCGA-GBM\n")
    code, said = pathdata(
        "pathgen",
        "select",
        slides,
        sharp_slide,
        "--out",
        tmp_path / "s",
        *options,
        "--projects",
        tmp_path / "p.csv",
        "--dry-run",
    )
    assert code == 0
    assert "3 of 3 slides would be done" in said


def test_long_sentences_are_said_to_be_cut(
    pathdata: Command, slides: Path, options: list[object], tmp_path: Path
) -> None:
    (tmp_path / "reports.json").write_text(json.dumps({GBM: ["a very long sentence of a report indeed"]}))
    more = ["--reports", tmp_path / "reports.json"]
    code, said = pathdata("pathgen", "select", slides / f"{GBM}.svs", "--out", tmp_path / "s", *options, *more)
    assert code == 0
    assert "1 sentences are longer than the model reads and were cut: a very long" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--range", "5"], "wanted A:B"),
        (["--range", "2:3"], "none of the 2 slides"),
        (["--target", 0], "--target must be"),
        (["--quality", 0], "--quality must be 1 to 100"),
        (["--batch-size", 0], "--batch-size must be"),
        (["--mask-class", "x"], "say which with --mask"),
        (["--clip", "/nowhere"], "hf download"),
        (["--device", "cuda:77"], "--device cuda:77"),
    ],
)
def test_what_cannot_start(
    pathdata: Command, slides: Path, options: list[object], tmp_path: Path, more: list[object], says: str
) -> None:
    code, said = pathdata("pathgen", "select", slides, "--out", tmp_path / "s", *options, *more)
    assert code == 2
    assert says in said


def test_prompts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pathgen", "select", "--print-prompts"])
    assert ended.value.code == 0
    assert "TCGA-UVM:\n  - Spindle cell" in capsys.readouterr().out
