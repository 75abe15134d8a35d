"""Texts and images in one run: any order, and as many texts first as there are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host

TEXTS = 1001
"""One more than ``datasets`` looks at to find the type of a column."""


@pytest.fixture(scope="module")
def data(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    turns = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "Tissue."}]
    shown = [{"from": "human", "value": "<image>?"}, turns[1]]
    texts = [{"id": f"t{number}", "conversations": turns} for number in range(TEXTS)]
    images = [{"image": str(toy.data / "bags" / f"few{n}.h5"), "conversations": shown} for n in range(3)]
    files = {"texts": texts[:5], "images": images, "texts_first": texts + images}
    for name, samples in files.items():
        (folder / f"{name}.json").write_text(json.dumps(samples))
    (folder / "stock.json").write_text(json.dumps([{"instruction": "What?", "input": "", "output": "It."}] * 4))
    info = {name: {"file_name": f"{name}.json", "formatting": "llava"} for name in files}
    (folder / "dataset_info.json").write_text(json.dumps({**info, "stock": {"file_name": "stock.json"}}))
    return folder


@pytest.fixture(scope="module")
def tokenized(toy: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """What LLaMA-Factory makes of data sets by name."""
    import llamafactory.train.tuner  # noqa: F401 - with the hook in place, in the order of a run
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.loader import get_dataset
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    keys["vision_config"] = json.loads(keys["vision_config"])
    keys |= {"model_name_or_path": "custom_llava", "template": "custom_vqa_llama3", "stage": "sft", "do_train": True}
    keys |= {"dataset_dir": str(data), "max_steps": 1, "dataloader_num_workers": 1, "report_to": "none"}

    def made(**options: Any) -> dict[str, Any]:
        out = str(tmp_path_factory.mktemp("out"))
        model_args, data_args, training_args, _, _ = get_train_args({**keys, "output_dir": out, **options})
        module = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
        return get_dataset(template, model_args, data_args, training_args, stage="sft", **module)

    return made


@pytest.mark.parametrize(
    ("names", "options", "count"),
    [
        ("texts,images", {}, 8),
        ("images,texts", {"mix_strategy": "interleave_over"}, 10),
        ("texts_first", {}, TEXTS + 3),
        ("stock,images", {}, 7),
        ("texts_first", {"streaming": True}, TEXTS + 3),
        ("texts,images", {"streaming": True, "mix_strategy": "interleave_under"}, 6),
    ],
)
def test_texts_and_images_mix(
    tokenized: Callable[..., dict[str, Any]], names: str, options: dict[str, Any], count: int
) -> None:
    rows = list(tokenized(dataset=names, **options)["train_dataset"])
    assert len(rows) == count
    shown = [row["images"] for row in rows if row["images"]]
    assert len(shown) >= 3
    assert all(len(images) == 1 and images[0].endswith(".h5") for images in shown)
    assert all(-100 in row["labels"] and len(row["labels"]) == len(row["input_ids"]) for row in rows)


def test_evaluation_mixes_as_well(tokenized: Callable[..., dict[str, Any]]) -> None:
    found = tokenized(dataset="images", eval_dataset="texts,images", do_eval=True)
    assert (len(found["train_dataset"]), len(found["eval_dataset"])) == (3, 8)
