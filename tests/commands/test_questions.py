"""Questions of a test set: evenly drawn, checked row by row, and asked in the model's own template."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.evaluation_options import EvaluationOptions, add_arguments
from pathplugins.commands.questions import QuestionSet, prepare
from pathplugins.core.errors import BadSamplesError, PathPluginsError

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(make_llm: Callable[..., Path], make_vlm: Callable[..., Path], tmp_path_factory: Any) -> Path:
    """A model of bags whose tokenizer has a chat template."""
    source, folder = make_vlm(None), tmp_path_factory.mktemp("model")
    for path in source.iterdir():
        (folder / path.name).symlink_to(path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = "{% for m in messages if m['role'] == 'user' %}[{{ m['content'] }}]{% endfor %}"
    for name in ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def data(write_h5: Callable[..., Path], tmp_path: Path) -> Path:
    """Seven questions about two bags."""
    bags = [write_h5(f"questions_{rows}", rows) for rows in (7, 12)]
    turns = ["<image>\nWhat is it?", "a gland"]
    rows = [
        {
            "id": f"q{number}",
            "image": str(bags[number % 2]),
            "conversations": [{"from": "human", "value": turns[0]}, {"from": "gpt", "value": turns[1]}],
        }
        for number in range(7)
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))


def question_set(data: Path, **changes: Any) -> QuestionSet:
    options = {"image_folder": None, "format_options": (), "limit": None, "on_bad_sample": "error", "task": "vqa"}
    return QuestionSet(**{"data": data, "format": "llava", "allow_other_encoder": False, **options, **changes})


def test_questions_are_drawn_evenly_and_asked_in_the_template(model: Path, data: Path, tmp_path: Path) -> None:
    found = prepare(str(model), None, question_set(data, limit=3), tmp_path / "out", {"bits": None})
    assert found.ids == ["q0", "q2", "q4"]
    assert [question.prompt for question in found.open] == ["[<image>\nWhat is it?]"] * 3
    assert found.open[0].line["question"] == "What is it?"
    assert found.settings["model"].startswith(f"{model} (")
    assert found.settings["data"].startswith(f"3 questions of {data} (")


def test_a_hub_id_that_cannot_be_fetched_is_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(PathPluginsError, match=r"MODEL lab/model is neither a path nor a hub repository"):
        prepare("lab/model", None, question_set(data), tmp_path / "out", {})


def test_bags_of_several_encoders_are_not_mixed(
    model: Path, data: Path, tmp_path: Path, write_h5: Callable[..., Path]
) -> None:
    import shutil

    import h5py

    other = tmp_path / "other.h5"
    shutil.copy(write_h5("questions_7", 7), other)
    with h5py.File(other, "a") as file:
        file.attrs["encoder"] = "uni2-h"
    row = json.loads(data.read_text().splitlines()[0])
    with data.open("a") as stream:
        stream.write(f"{json.dumps({**row, 'id': 'q7', 'image': str(other)})}\n")
    with pytest.raises(BadSamplesError, match=r"1 of 8 samples cannot be used: 1 x another encoder"):
        prepare(str(model), None, question_set(data), tmp_path / "out", {})
    allowed = prepare(str(model), None, question_set(data, allow_other_encoder=True), tmp_path / "out", {})
    assert len(allowed.ids) == 8


def test_a_row_without_a_bag_is_named(model: Path, data: Path, tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "What is a gland?"}, {"from": "gpt", "value": "tissue"}]
    with data.open("a") as stream:
        stream.write(f"{json.dumps({'id': 'alone', 'conversations': turns})}\n")
    with pytest.raises(BadSamplesError, match=r"1 x no bag\n.*alone: names no bag, so that the model would answer"):
        prepare(str(model), None, question_set(data), tmp_path / "out", {})
    skipped = prepare(str(model), None, question_set(data, on_bad_sample="skip"), tmp_path / "out", {})
    assert (len(skipped.ids), skipped.left_out) == (7, 1)


def test_suites_of_slides_are_read_with_bags(model: Path, tmp_path: Path, write_h5: Callable[..., Path]) -> None:
    """Their tables name other files in folders of their own; the bags lie flat, as `pathdata run` leaves them."""
    import shutil

    (tmp_path / "bags").mkdir()
    for name in ("a", "b"):
        shutil.copy(write_h5("questions_7", 7), tmp_path / "bags" / f"{name}.h5")
    (tmp_path / "SlideBench-VQA(TCGA).csv").write_text(
        "ID,Slide,Tumor,Narrow Category,Question,A,B,C,D,Answer\n"
        "1,a,BRCA,Grade,Which?,x,y,,,A\n"
        "2,b,LUAD,Type,Which?,x,y,,,B\n"
    )
    lines = [{"question_id": f"Stage_{n}", "image": f"TCGA-BRCA/{n}.pt", "question": "Which?"} for n in ("a", "b")]
    (tmp_path / "WSI-Bench-test.jsonl").write_text(
        "".join(f"{json.dumps({**line, 'T-answer': 'II', 'metadata': 'Stage'})}\n" for line in lines)
    )
    found = {}
    for suite in ("slidebench", "wsi-bench"):
        words = ["--suite", suite, "--data", str(tmp_path), "--option", "image_suffix=.h5"]
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        args = parser.parse_args([str(model), "--out", "out", *words, "--option", "flat_images=true"])
        found[suite] = prepare(str(model), None, EvaluationOptions.of(args).test, tmp_path / suite, {})
        assert [Path(q.images[0]).name for q in found[suite].open] == ["a.h5", "b.h5"]
    assert found["slidebench"].open[0].prompt == "[<image>\nWhich?\nA. x\nB. y]"
    assert found["slidebench"].groups == {
        "Tumor": {"1": "BRCA", "2": "LUAD"},
        "Narrow Category": {"1": "Grade", "2": "Type"},
    }
    assert found["wsi-bench"].groups == {"metadata": {"Stage_a": "Stage", "Stage_b": "Stage"}}
