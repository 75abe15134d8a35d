"""``pathplugins explain``: files for an answer about a slide, a bag or an image; mistakes cost no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from PIL import Image
from talking_models import LLAMA, QUESTION, TRIAL, WIDTH
from tiny_models import PALLAVA

from pathplugins.cli import main
from pathplugins.commands.ask import ask
from pathplugins.commands.loading import load_model

Told = tuple[int, str, str]


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def run(model: Path, *words: object) -> Told:
        code = main(["explain", str(model), "--question", QUESTION, "--device", "cpu", *map(str, words)])
        return code, *capsys.readouterr()

    return run


def test_a_slide_is_asked_and_explained_on_itself(
    talker: Path, slide: Path, explain: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openslide")
    pytest.importorskip("timm")
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    code, said, err = explain(
        talker, "--slide", slide, "--out", out, "--max-new-tokens", 5, "--words", *TRIAL, "--answer", "µm: a/b yes"
    )
    assert (code, said) == (0, "µm: a/b yes\n")
    names = ["answer.png", "answer.geojson", "answer.json", "word_001_µm.png", "word_002_ab.png", "word_003_yes.png"]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert err.splitlines()[-6:] == [str(out / name) for name in names]
    assert Image.open(out / "answer.png").width == 1536
    features = json.loads((out / "answer.geojson").read_text())["features"]
    corner = features[0]["geometry"]["coordinates"][0][0]
    assert corner[0] % 256 == corner[1] % 256 == 0
    assert {*features[0]["properties"]["measurements"]} <= {"attention to the picture", "1 µm:", "2 a/b", "3 yes"}


def test_without_an_answer_the_model_gives_its_own(
    talker: Path, write_h5: Callable[..., Path], explain: Callable[..., Told], tmp_path: Path
) -> None:
    bag = write_h5("of_itself", 9, width=WIDTH)
    wanted = ask(load_model(talker, device="cpu"), QUESTION, bag=bag, max_new_tokens=5)
    code, said, _ = explain(talker, "--bag", bag, "--out", tmp_path / "out", "--max-new-tokens", 5)
    assert (code, said) == (0, f"{wanted}\n")
    assert json.loads((tmp_path / "out" / "answer.json").read_text())["answer"] == wanted
    assert not list((tmp_path / "out").glob("word_*"))


def test_an_image_is_explained(
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    picture: Callable[..., Image.Image],
    explain: Callable[..., Told],
    tmp_path: Path,
) -> None:
    model = make_vlm(make_llm(tied=False), **PALLAVA)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = LLAMA
    talks = tmp_path / "talks"
    talks.mkdir()
    for file in model.iterdir():
        (talks / file.name).symlink_to(file)
    for file in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (talks / file).unlink(missing_ok=True)
    tokenizer.save_pretrained(talks)
    picture(37, 44).save(tmp_path / "x.png")
    code, _, err = explain(talks, "--image", tmp_path / "x.png", "--out", tmp_path / "out", "--answer", "Yes.")
    assert code == 0, err
    assert len(json.loads((tmp_path / "out" / "answer.json").read_text())["tokens"]) == 25
    code, _, err = explain(
        talks, "--image", tmp_path / "x.png", "--out", tmp_path / "out", "--draw-on", tmp_path / "x.png"
    )
    assert code == 2
    assert "--draw-on is the slide of a --bag; --image is drawn on itself" in err


def words(bag: Path, tmp_path: Path, *more: object) -> list[Any]:
    return ["--bag", bag, "--out", tmp_path / "out", *more]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--answer", " "], "--answer is empty"),
        (["--answer", "Yes.", "--temperature", "1"], "--answer is given, so none is generated"),
        (["--draw-on", "absent.svs"], "absent.svs"),
        (["--out", __file__], "is a file; name a folder"),
    ],
)
def test_mistakes_are_said_before_the_model_is_read(
    talker: Path,
    write_h5: Callable[..., Path],
    explain: Callable[..., Told],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    message: str,
) -> None:
    from pathplugins.commands import explain as command

    monkeypatch.delattr(command, "load_model")
    code, _, err = explain(talker, *words(write_h5("of_itself", 9, width=WIDTH), tmp_path, *more))
    assert (code, message in err) == (2, True), err
    assert not (tmp_path / "out").exists()
