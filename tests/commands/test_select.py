"""``pathplugins select``: what a real model's selector keeps, at the right places of the bag."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.cli import main
from pathplugins.data.bags import BagAttributes, sample_rows, stable_seed, write_bag
from pathplugins.data.prompts import SYSTEM_PROMPT

transformers = pytest.importorskip("transformers")

ROWS, BUDGET = 37, 5
SIDE = 512  # level-0 pixels: a 40x slide
LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)
QUESTION = "Is there necrosis?"
COORDS_XY = np.stack([np.arange(ROWS) % 9, np.arange(ROWS) // 9], 1) * SIDE + np.array([1024, 512])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(cache))


def compose(root: Path, mode: str) -> Path:
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    llm = build_tiny_llm(root / "llm", [QUESTION, SYSTEM_PROMPT], tied=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]}
    )
    tokenizer.chat_template = LLAMA
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": 9, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    spec = ComposeSpec(
        llm=str(llm),
        vision_config=tower,
        random_vision_seed=0,
        vision_feature_select_mode=mode,
        image_seq_length=BUDGET,
        patches_per_wsi=11,
    )
    return compose(spec, root / "vlm")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compose(tmp_path_factory.mktemp("random"), "random_sample")


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compose(tmp_path_factory.mktemp("prompted"), "prompt_topk")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "slide.h5"
    side = BagAttributes(
        slide_id="slide",
        encoder="none",
        patch_size=256,
        patch_size_level0=SIDE,
        mpp=0.5,
        level0_mpp=0.25,
        level0_width=7000,
        level0_height=5000,
    )
    features = np.random.default_rng(1).standard_normal((ROWS, 9))
    write_bag(path, [features], COORDS_XY[:, ::-1].copy(), side)
    return path


def run(model: Path, bag: Path, out: Path, *words: object) -> list[dict[str, Any]]:
    """The features of the GeoJSON."""
    options = ["--model", model, "--bag", bag, "--out", out / "picture.png", "--device", "cpu", *words]
    assert main(["select", *map(str, options)]) == 0
    assert (out / "picture.png").stat().st_size > 1000
    return json.loads((out / "picture.geojson").read_text())["features"]


def corners(features: list[dict[str, Any]], *, kept: bool = False) -> list[list[int]]:
    chosen = [f for f in features if not kept or f["properties"]["classification"]["name"] == "kept"]
    return [f["geometry"]["coordinates"][0][0] for f in chosen]


def scores(features: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([f["properties"]["measurements"][name] for f in features])


def test_every_patch_is_read_and_placed_on_level_0(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = run(model, bag, tmp_path)
    assert corners(features) == COORDS_XY.tolist()
    assert features[0]["geometry"]["coordinates"][0][2] == [1024 + SIDE, 512 + SIDE]
    seed = stable_seed(42, "evaluation", "slide.h5")
    from pathplugins.models.selectors.base import PackedCandidates
    from pathplugins.models.selectors.random_sample import RandomSample

    torch = pytest.importorskip("torch")
    blank = PackedCandidates(tokens=torch.zeros(ROWS, 1), coords=torch.zeros(ROWS, 2), counts=[ROWS], seeds=[seed])
    rows = RandomSample(1, 1)(blank, BUDGET).indices
    assert corners(features, kept=True) == COORDS_XY[rows.numpy()].tolist()
    assert "measurements" not in features[0]["properties"]
    paths = f"{tmp_path / 'picture.png'} {tmp_path / 'picture.geojson'}"
    assert capsys.readouterr().out == f"kept {BUDGET} of {ROWS} patches: {paths}\n"


def test_fewer_patches_are_those_of_a_question(model: Path, bag: Path, tmp_path: Path) -> None:
    features = run(model, bag, tmp_path, "--patches", 11)
    rows = sample_rows(ROWS, 11, stable_seed(42, "evaluation", "slide.h5"))
    assert corners(features) == COORDS_XY[rows].tolist()
    assert len(corners(features, kept=True)) == BUDGET


def test_another_mode_and_budget_leave_the_directory_as_it_is(model: Path, bag: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in model.glob("*.json")}
    features = run(model, bag, tmp_path, "--mode", "prumerge", "--budget", 7)
    attention = scores(features, "attention of the slide token")
    best = np.sort(attention.argsort()[-7:])
    assert corners(features, kept=True) == COORDS_XY[best].tolist()
    assert (attention > 0).all()
    assert len(corners(run(model, bag, tmp_path, "--mode", "none"), kept=True)) == ROWS
    assert {path.name: path.read_bytes() for path in model.glob("*.json")} == before


def test_the_prompt_is_asked_for_and_looked_at(
    prompted: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for prompt in (QUESTION, "Is there a slide?"):
        features = run(prompted, bag, tmp_path, "--prompt", prompt)
        cosine = scores(features, "cosine to the prompt")
        assert corners(features, kept=True) == COORDS_XY[np.sort(cosine.argsort()[-BUDGET:])].tolist()
        assert (np.abs(cosine) <= 1 + 1e-6).all()
        told.append(cosine)
    assert not np.allclose(*told)
    out = tmp_path / "again.png"
    assert main(["select", "--model", str(prompted), "--bag", str(bag), "--out", str(out)]) == 2
    assert 'prompt_topk looks at the question: give it with --prompt "..."' in capsys.readouterr().err
    assert not out.exists()


def test_a_projection_that_was_never_trained_is_said(
    model: Path, prompted: Path, bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.data_tools.pictures import heat_map

    titles = []
    monkeypatch.setattr(
        heat_map,
        "draw_selection",
        lambda out, **given: (titles.append((given["title"], given["score_name"])), (out, out))[1],
    )
    for directory, words in ((model, ["--mode", "prompt_topk"]), (prompted, []), (model, ["--patches", "11"])):
        options = ["--model", directory, "--bag", bag, "--out", tmp_path / "x.png", "--prompt", QUESTION, *words]
        assert main(["select", *map(str, options)]) == 0
    asked = f'prompt "{QUESTION}"'
    assert titles == [
        (f"prompt_topk (its projection is not trained), {asked}", "cosine to the prompt"),
        (f"prompt_topk, {asked}", "cosine to the prompt"),
        (f"random_sample, {ROWS} patches in the bag, {asked} (not looked at)", "score"),
    ]


def test_on_the_slide(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openslide")
    from PIL import Image

    for name, size in (("own", (7000, 5000)), ("other", (5000, 7000))):
        Image.new("RGB", size, "white").save(tmp_path / f"{name}.png")
    run(model, bag, tmp_path, "--slide", tmp_path / "own.png")
    assert "names the slide" in caplog.text
    assert "give the one the bag was made from" in caplog.text
    assert Image.open(tmp_path / "picture.png").width == 2048
    words = ["--model", model, "--bag", bag, "--out", tmp_path / "x.png", "--slide", tmp_path / "other.png"]
    assert main(["select", *map(str, words)]) == 2
    assert "slide of 7000 x 5000 pixels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--patches", "0"], "--patches is 0, expected 1 or more"),
        (["--out", "picture.jpg"], r"--out picture\.jpg: the picture is a PNG"),
        (["--bag", "absent.h5"], r"absent\.h5: no such file"),
        (["--slide", "absent.svs"], r"absent\.svs: no such slide file"),
        (["--model", "some/hub-id", "--mode", "none"], r"--model some/hub-id is neither a path nor a hub repository"),
        (["--budget", "0"], "--budget is 0, expected 1 or more"),
    ],
)
def test_mistakes_are_one_line(
    model: Path, bag: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--slide" in words:
        pytest.importorskip("openslide")
    options = ["--model", model, "--bag", bag, "--out", tmp_path / "picture.png", *words]
    assert main(["select", *map(str, options)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())
