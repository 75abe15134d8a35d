"""The shipped file that predicts: answers in the order of the table, each beside its bag."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host


def test_predictions_name_their_bags(
    run: Callable[..., Any], toy: Any, bag_model: Path, tmp_path: Path, configs: Path
) -> None:
    missing = [name for name in ("jieba", "nltk", "rouge_chinese") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"predict_with_generate of LLaMA-Factory needs {', '.join(missing)}")
    keys = {"model_name_or_path": bag_model, "dataset_dir": toy.data, "eval_dataset": "few_vqa", "cutoff_len": 512}
    keys |= {"preprocessing_num_workers": 1, "dataloader_num_workers": 0, "max_new_tokens": 3}
    run("train", "wsi_llava_predict.yaml", {**keys, "per_device_eval_batch_size": 3, "output_dir": tmp_path / "out"})
    lines = [json.loads(line) for line in (tmp_path / "out" / "generated_predictions.jsonl").read_text().splitlines()]
    assert [Path(image).name for line in lines for image in line["images"]] == [f"few{i}.h5" for i in range(8)]
    assert [line["prompt"].count("<image>") for line in lines] == [1] * 8
    assert all("<image>\nWhich tissue dominates this slide?" in line["prompt"] for line in lines)
    assert len({line["label"] for line in lines}) == 4

    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    model = load_model(bag_model, device="cpu")
    for line in lines[:3]:
        question = "Which tissue dominates this slide?"
        assert line["predict"].strip() == ask(model, question, bag=line["images"][0], max_new_tokens=3)


def test_a_folder_of_bags_is_asked_its_questions(
    run: Callable[..., Any], toy: Any, bag_model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "bags" / "b").mkdir(parents=True)
    for place, name in (("b/z.h5", "few2"), ("y.h5", "few1")):
        (data / "bags" / place).write_bytes((toy.data / "bags" / f"{name}.h5").read_bytes())
    (data / "bags" / "questions.txt").write_text("Which tissue?\n\nHow much of it?\n")
    (data / "dataset_info.json").write_text('{"new": {"file_name": "bags", "formatting": "bag_folder"}}')
    keys = {"model_name_or_path": bag_model, "dataset_dir": data, "eval_dataset": "new", "cutoff_len": 512}
    keys |= {"preprocessing_num_workers": 1, "dataloader_num_workers": 0, "max_new_tokens": 3}
    run("train", "wsi_llava_predict.yaml", {**keys, "per_device_eval_batch_size": 3, "output_dir": tmp_path / "out"})
    lines = [json.loads(line) for line in (tmp_path / "out" / "generated_predictions.jsonl").read_text().splitlines()]
    told = [(Path(line["images"][0]).name, line["label"]) for line in lines]
    assert told == [("z.h5", ""), ("z.h5", ""), ("y.h5", ""), ("y.h5", "")]
    asked = ("Which tissue?", "How much of it?") * 2
    assert all(f"<image>\n{question}" in line["prompt"] for line, question in zip(lines, asked, strict=True))
    scores = json.loads((tmp_path / "out" / "predict_results.json").read_text())
    assert not [name for name in scores if "rouge" in name or "bleu" in name]


def test_as_many_answers_as_questions(tmp_path: Path) -> None:
    from datasets import Dataset

    from pathplugins.core.errors import PathPluginsError
    from pathplugins.llamafactory.named_predictions import FILE, name_predictions

    line = {"prompt": "<v><v><v>\nWhat?", "predict": "This.", "label": "That."}
    (tmp_path / FILE).write_text(f"{json.dumps(line)}\n")
    with pytest.raises(PathPluginsError, match="1 answers for 2 questions"):
        name_predictions(tmp_path, Dataset.from_dict({"images": [["a.h5"], None]}), "<v>")
    name_predictions(tmp_path, Dataset.from_dict({"images": [None]}), "<v>")
    told = json.loads((tmp_path / FILE).read_text())
    assert told == {"images": [], "prompt": "<image>\nWhat?", "predict": "This.", "label": "That."}
