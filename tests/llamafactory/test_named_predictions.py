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
