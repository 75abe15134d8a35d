"""``pathplugins ablate``: a model that learnt to look loses without its pictures, one that did not loses nothing."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.cli import main
from pathplugins.core.files import read_json

transformers = pytest.importorskip("transformers")

CHAT = "{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %} :"
WORDS = ["is it dark or light : dark light"]
CASES = 12


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    logging.getLogger("pathplugins").setLevel(logging.NOTSET)  # which the command has changed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light pictures, and one question about each."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(CASES):
        noise = np.random.default_rng(number).integers(0, 60, (20, 20, 3))
        Image.fromarray((noise + (number % 2) * 180).astype(np.uint8)).save(folder / f"{number}.png")
        turns = [("human", "<image>\nis it dark or light"), ("gpt", ("dark", "light")[number % 2])]
        conversation = [{"from": speaker, "value": text} for speaker, text in turns]
        rows.append({"id": f"q{number}", "image": f"{number}.png", "conversations": conversation})
    (folder / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], str]:
    """Return the maker of a tiny model that was trained on the data, with its pictures or with zeros for them."""

    def make(sees: bool) -> str:
        import torch

        from pathplugins.commands.loading import load_model
        from pathplugins.commands.prompting import conversation
        from pathplugins.models.compose.compose import compose
        from pathplugins.models.compose.spec import ComposeSpec
        from pathplugins.models.compose.tiny_llm import build_tiny_llm

        root = tmp_path_factory.mktemp("model")
        llm = build_tiny_llm(root / "llm", WORDS)
        tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
        tokenizer.chat_template = CHAT
        tokenizer.save_pretrained(llm)
        tower = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
        spec = ComposeSpec(
            llm=str(llm),
            vision_model_name="clip",
            vision_config={**tower, "image_size": 20, "patch_size": 10},
            random_vision_seed=0,
            mm_projector_type="mlp2x_gelu",
        )
        folder = compose(spec, root / "vlm")
        loaded = load_model(folder, device="cpu")
        model, processor = loaded.model, loaded.processor
        model.ablate_vision = not sees
        prompt = conversation(processor.tokenizer, "is it dark or light")
        inputs = processor([prompt] * CASES, [[data / f"{n}.png"] for n in range(CASES)])
        ends = [processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in ("dark", "light")]
        assert [len(end) for end in ends] == [1, 1]
        answers = torch.tensor([ends[n % 2] for n in range(CASES)])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], answers], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        labels = torch.full_like(inputs["input_ids"], -100)
        labels[:, -1] = inputs["input_ids"][:, -1]
        torch.manual_seed(0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(40):
            optimizer.zero_grad()
            loss = model(**inputs, labels=labels).loss
            loss.backward()
            optimizer.step()
        model.ablate_vision = False
        model.save_pretrained(folder)
        return str(folder)

    return make


def words(model: str, data: Path, out: Path, *more: str) -> list[str]:
    own = ["--data", str(data / "test.jsonl"), "--image-folder", str(data), "--task", "vqa", "--out", str(out)]
    return ["ablate", model, *own, "--device", "cpu", "--max-new-tokens", "1", *more]


def test_a_model_that_looks(
    trained: Callable[[bool], str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = trained(True), tmp_path / "out"
    assert main(words(model, data, out)) == 0
    told = read_json(out / "ablation.json")
    found = told["conditions"]
    assert {*found} == {"real", "zeroed", "shuffled", "mean", "none"}
    assert (told["measure"], told["questions"]) == ("accuracy", CASES)
    assert found["real"]["metrics"]["accuracy"]["value"] == 1.0
    for name in ("zeroed", "mean", "none"):  # one answer for all, which is right for half
        assert found[name]["metrics"]["accuracy"]["value"] == 0.5
        assert found[name]["lost"]["value"] == 0.5
        assert found[name]["unchanged"]["value"] == 0.5
    said = capsys.readouterr().out
    assert "answers need the picture: worse when" in said
    lines = [json.loads(line) for line in (out / "shuffled" / "predictions.jsonl").read_text().splitlines()]
    light = {line["id"]: int(Path(line["images"][0]).stem) % 2 for line in lines}
    assert {line["id"]: int(line["prediction"] == "light") for line in lines} == light  # it says what it is shown
    again(model, data, out)


def again(model: str, data: Path, out: Path) -> None:
    """A run that was killed goes on with the same mean token and the same pictures."""
    whole = {path: path.read_bytes() for path in out.rglob("*.json*")}
    for name in ("mean", "shuffled"):
        path = out / name / "predictions.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    shutil.rmtree(out / "none")
    assert main(words(model, data, out)) == 0
    assert {path: path.read_bytes() for path in out.rglob("*.json*")} == whole


def test_a_model_that_does_not_look(
    trained: Callable[[bool], str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(trained(False), data, tmp_path / "out", "--conditions", "zeroed", "shuffled")) == 0
    told = read_json(tmp_path / "out" / "ablation.json")["conditions"]
    assert {*told} == {"real", "zeroed", "shuffled"}
    said = capsys.readouterr().out
    assert "no loss to be told from chance when zeroed, shuffled" in said
    assert "answers need" not in said


def test_one_picture_cannot_be_shuffled(
    trained: Callable[[bool], str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: list[Any] = ["--limit", "1"]
    assert main(words(trained(True), data, tmp_path / "out", *options)) == 2
    assert "there is no other picture to show; leave shuffled out of --conditions" in capsys.readouterr().err
