"""Choosing by likelihood: the mean of -log p over a choice's own tokens, one choice at a time by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import load, make_llm, make_spec, make_vlm, write_h5
from transformers import AutoProcessor, AutoTokenizer

from pathplugins.cli import main
from pathplugins.commands.choosing import choice_losses, likeliest
from pathplugins.commands.loading import LoadedModel
from pathplugins.core.errors import PathPluginsError

__all__ = ["load", "make_llm", "make_spec", "make_vlm", "write_h5"]  # fixtures

CHAT = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]\n\n"
OPTIONS = {"A": "invasive carcinoma", "B": "\n no", "C": "What is the dominant tissue?"}
QUESTION = "Which?\nA) invasive carcinoma\nB) no\nC) What is the dominant tissue?"
PROMPT = "[user]<image>\nWhich?[assistant]\n\n"


@pytest.fixture(scope="module")
def folder(make_llm: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    llm = Path(shutil.copytree(make_llm(tied=False, initializer_range=0.3), tmp_path_factory.mktemp("llm") / "llm"))
    tokenizer = AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(llm)
    return llm


def loaded(load: Callable[..., Any], directory: Path) -> LoadedModel:
    return LoadedModel(load(directory), AutoProcessor.from_pretrained(directory))


@pytest.mark.parametrize("prefix", [False, True], ids=["causal", "prefix LM"])
@pytest.mark.parametrize("selector", ["none", "prumerge_adaptive"])
def test_losses_are_those_of_every_choice_alone(
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    folder: Path,
    prefix: bool,
    selector: str,
) -> None:
    directory = make_vlm(folder, use_prefix_lm_mask=prefix, vision_feature_select_mode=selector)
    model = loaded(load, directory)
    bag = str(write_h5("choices", 9))
    inputs = model.processor([PROMPT], [[bag]])
    losses = choice_losses(model, inputs, PROMPT, [bag], OPTIONS)
    assert list(losses) == [*"ABC"]
    for letter, text in OPTIONS.items():
        ids = torch.tensor([model.processor.tokenizer(text.strip(), add_special_tokens=False)["input_ids"]])
        whole = torch.cat([inputs["input_ids"], ids], 1)
        labels = torch.cat([torch.full_like(inputs["input_ids"], -100), ids], 1)
        given = {**inputs, "input_ids": whole, "attention_mask": torch.ones_like(whole)}
        with torch.inference_mode():
            logits = model.model(**given, labels=labels).logits[0, -ids.shape[1] - 1 : -1].double()
        wanted = -logits.log_softmax(-1).gather(1, ids.T).mean().item()
        assert losses[letter] == pytest.approx(wanted, abs=1e-5)
    assert likeliest(losses) == min(losses, key=losses.get)


def test_an_empty_choice_is_refused(
    make_vlm: Callable[..., Path], load: Callable[..., Any], write_h5: Callable[..., Path], folder: Path
) -> None:
    model, bag = loaded(load, make_vlm(folder)), str(write_h5("choices", 9))
    with pytest.raises(PathPluginsError, match=r"choice B \(' '\) holds no token"):
        choice_losses(model, model.processor([PROMPT], [[bag]]), PROMPT, [bag], {"A": "yes", "B": " "})


def test_the_command_writes_the_letter_and_the_losses(
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = make_vlm(folder)
    bags = [str(write_h5(f"choice {rows}", rows)) for rows in (5, 9)]
    asked = {"from": "human", "value": f"<image>\n{QUESTION}"}
    rows = [
        {"id": f"{letter} {bag}", "image": bag, "conversations": [asked, {"from": "gpt", "value": letter}]}
        for letter in OPTIONS
        for bag in bags
    ]
    (tmp_path / "test.json").write_text(json.dumps(rows))
    words = ["evaluate", directory, "--data", tmp_path / "test.json", "--task", "choices", "--device", "cpu"]
    words += ["--allow-other-encoder", "--choices", "likelihood"]
    assert main([str(word) for word in [*words, "--out", tmp_path / "out"]]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    for line in lines:
        assert line["losses"].keys() == {*"ABC"}
        assert line["prediction"] == likeliest(line["losses"])
    assert json.loads((tmp_path / "out/settings.json").read_text())["choices"] == "likelihood"
    told = json.loads((tmp_path / "out/metrics.json").read_text())["metrics"]
    assert told["accuracy"]["value"] == pytest.approx(1 / 3)  # every letter is right once
    assert told["unparsed"] == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--task", "vqa"], "belongs to --task choices"),
        (["--task", "choices", "--temperature", "0.5"], "generates nothing"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "none", "--data", str(tmp_path), "--out", str(tmp_path), "--choices", "likelihood", *more]
    assert main(words) != 0
    assert said in capsys.readouterr().err
