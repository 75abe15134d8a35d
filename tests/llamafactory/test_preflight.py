"""Tokenized samples that cannot be trained on, before a model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def processor(toy: Any) -> Callable[..., Any]:
    """That of the toy's model, with other options where asked for."""
    import json

    import llamafactory.train.tuner  # noqa: F401 - with the hook in place, in the order of a run
    from transformers import AutoProcessor

    from pathplugins.llamafactory.arguments import PathModelArguments

    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    keys["vision_config"] = json.loads(keys["vision_config"])

    def load(**options: Any) -> Any:
        made = PathModelArguments(model_name_or_path="custom_llava", **keys, **options)
        return AutoProcessor.from_pretrained(made.model_name_or_path)

    return load


def test_cutoff_len_that_takes_vision_tokens_or_the_answer(processor: Callable[..., Any], toy: Any) -> None:
    from datasets import Dataset

    from pathplugins.llamafactory.preflight import check_tokenized

    processor = processor()
    bag = str(toy.data / "bags" / "few0.h5")
    image = [processor.image_token_id] * processor.num_image_tokens(bag)
    rows = {
        "input_ids": [[1, *image, 8, 9], [1, *image[:-2]], [1, *image, 8], [1, 8, 9]],
        "labels": [
            [-100, *[-100] * len(image), 5, 6],
            [-100] * (len(image) - 1),
            [-100] * (len(image) + 2),
            [-100, 5, 6],
        ],
        "images": [[bag], [bag], [bag], None],
    }
    with pytest.raises(BadSamplesError) as raised:
        check_tokenized({"train_dataset": Dataset.from_dict(rows), "eval_dataset": None}, processor)
    text = str(raised.value)
    assert text.startswith("2 samples do not fit cutoff_len (raise it or lower image_seq_length) or ask nothing:")
    assert f"train sample 1: {len(image) - 2} of {len(image)} vision tokens of {bag} are left" in text
    assert f"train sample 2: nothing of the answer is left after {len(image)} vision tokens" in text
    with pytest.raises(BadSamplesError, match=r"2 samples of tokenized_path tokens do not fit .*; delete it or name"):
        check_tokenized({"train_dataset": Dataset.from_dict(rows)}, processor, stored=Path("tokens"))


def test_w29_samples_without_a_question_are_named_before_the_first_step(
    processor: Callable[..., Any], toy: Any
) -> None:
    from datasets import Dataset

    from pathplugins.llamafactory.preflight import check_tokenized

    processor = processor(vision_feature_select_mode="prompt_topk")
    bag = str(toy.data / "bags" / "few0.h5")
    vision = processor.image_token * processor.num_image_tokens(bag)
    texts = (f"{vision}What is it?<|eot_id|>Skin", f"{vision}A caption", f"{vision}\n<|eot_id|>Skin", "No image")
    ids = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = {"input_ids": ids, "labels": ids, "images": [[bag], [bag], [bag], None]}
    with pytest.raises(BadSamplesError) as raised:
        check_tokenized({"train_dataset": Dataset.from_dict(rows), "eval_dataset": None}, processor)
    _, *problems = str(raised.value).split("\n  ")
    assert [problem.partition(":")[0] for problem in problems] == ["train sample 1", "train sample 2"]
    assert "found no end of the user's turn" in problems[0]
    assert "holds nothing but images" in problems[1]


@pytest.fixture
def tokenize(toy: Any, tmp_path: Path) -> Callable[..., Any]:
    """LLaMA-Factory's ``get_dataset`` as a run of ours calls it, by a shipped file with these changes."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args, read_args
    from llamafactory.model import load_tokenizer

    from pathplugins.llamafactory.preflight import checked_datasets

    def tokenize(**changes: Any) -> Any:
        keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
        fixed = {"model_name_or_path": "custom_llava", "stage": "sft", "do_train": True, "finetuning_type": "full"}
        fixed |= {"freeze_language_model": True, "freeze_multi_modal_projector": False, "report_to": "none"}
        fixed |= {"dataset_dir": str(toy.data), "template": "custom_vqa_llama3", "output_dir": str(tmp_path / "out")}
        found = get_train_args(read_args({**keys, **fixed, "dataset": "few_vqa", **changes}))
        model_args, data_args, training_args, finetuning_args, _ = found
        tokenizers = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(tokenizers["tokenizer"], data_args)
        check = checked_datasets(get_dataset, finetuning_args)
        return check(template, model_args, data_args, training_args, stage="sft", **tokenizers)["train_dataset"]

    return tokenize


def test_as_many_tokens_as_are_said_would_do_and_one_less_would_not(tokenize: Callable[..., Any]) -> None:
    wanted = r"8 samples do not fit cutoff_len 20: set cutoff_len: (\d+) or more, or lower image_seq_length:"
    with pytest.raises(BadSamplesError, match=wanted) as raised:
        tokenize(cutoff_len=20)
    import re

    enough = int(re.search(wanted, str(raised.value))[1])
    lengths = [len(ids) for ids in tokenize(cutoff_len=enough)["input_ids"]]
    assert max(lengths) == enough, "nothing is cut and nothing is wasted"


@pytest.fixture
def words(toy: Any) -> str:
    """A dataset without images."""
    import json

    turns = [{"from": "human", "value": "Next?"}, {"from": "gpt", "value": "Stroma."}]
    (toy.data / "only_words.json").write_text(json.dumps([{"conversations": turns}] * 3))
    toy.info("only_words", {"file_name": "only_words.json", "formatting": "sharegpt"})
    return "only_words"


def test_text_alone_teaches_a_connector_nothing(
    tokenize: Callable[..., Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PathPluginsError, match=r"none of the 3 training samples has an image .* freeze_language_model"):
        tokenize(dataset=words)
    with caplog.at_level(logging.WARNING):
        assert len(tokenize(dataset=words, freeze_language_model=False)) == 3
    assert "none of the 3 training samples has an image or a bag" in caplog.text
    caplog.clear()
    assert len(tokenize(dataset=f"few_vqa,{words}")) == 11
    assert "training samples has" not in caplog.text


def test_what_no_limit_cures_is_not_blamed_on_it(processor: Callable[..., Any]) -> None:
    from datasets import Dataset

    from pathplugins.llamafactory.preflight import check_tokenized

    masked = {"input_ids": [[1, 8, 9]], "labels": [[-100] * 3], "images": [None]}
    datasets = {"train_dataset": Dataset.from_dict(masked), "eval_dataset": None}
    with pytest.raises(BadSamplesError, match="1 samples cannot be trained on, whatever cutoff_len is"):
        check_tokenized(datasets, processor(), cutoff_len=3, uncut=lambda: datasets)


def test_a_stream_is_not_looked_at(processor: Callable[..., Any]) -> None:
    from pathplugins.llamafactory.preflight import check_tokenized, check_vision

    check_tokenized({"train_dataset": iter([]), "eval_dataset": None}, processor())
    check_vision(iter([]), SimpleNamespace())


@pytest.mark.parametrize(
    ("samples", "batch", "drop", "trains"), [(3, 4, True, False), (4, 4, True, True), (3, 4, False, True)]
)
def test_samples_that_fill_no_batch(samples: int, batch: int, drop: bool, trains: bool, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import TrainingArguments

    from pathplugins.llamafactory.preflight import check_batches

    training = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=batch, dataloader_drop_last=drop, use_cpu=True
    )
    rows = Dataset.from_dict({"images": [["a.h5"]] * samples})
    if trains:
        check_batches(rows, training)
        return
    with pytest.raises(
        PathPluginsError, match=r"3 training samples fill no batch of 4 on each of 1 .*drop_last: false"
    ):
        check_batches(rows, training)
