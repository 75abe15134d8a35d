"""What the dataset holds and refuses, and that many processes share one tokenization (A19, A23, A25 to A27)."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from xtuner.dataset.huggingface import process_hf_dataset
from xtuner.dataset.map_fns import llava_map_fn, template_map_fn_factory
from xtuner.dataset.samplers import LengthGroupedSampler
from xtuner.utils import PROMPT_TEMPLATE

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.compose.cache import cache_dir
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.compose.view import derived
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.parts import load_processor

pytestmark = pytest.mark.host

BUDGET = 6
TOWER = {"in_chans": 10, "embed_dim": 24, "depth": 2, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
TEXTS = ["What does this slide show? An invasive carcinoma of grade two."]


os.environ["TOKENIZERS_PARALLELISM"] = "false"  # some of these tests fork


def build_model(root: Path, texts: list[str]) -> str:
    llm = build_tiny_llm(root / "llm", texts)
    options = {"vision_config": TOWER, "random_vision_seed": 0, "image_seq_length": BUDGET, "patches_per_wsi": 20}
    return str(compose(ComposeSpec(llm=str(llm), **options), root / "vlm"))


def bag(path: Path, rows: int, width: int = 10) -> str:
    slide = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    size = {"level0_width": 51_200, "level0_height": 25_600}
    cells = np.stack([np.arange(rows) // 9, np.arange(rows) % 9], 1)  # (row, column)
    features = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
    write_bag(path, [features], cells * 512, BagAttributes(slide_id=path.stem, encoder="none", **slide, **size))
    return path.name


def sample(name: str, *images: str, text: str = "What does this slide show?") -> dict[str, Any]:
    said = [("human", "<image>\n" * len(images) + text), ("gpt", "An invasive carcinoma of grade two.")]
    one = {"id": name, "conversations": [{"from": who, "value": value} for who, value in said]}
    return {**one, "image": images[0] if len(images) == 1 else list(images)} if images else one


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_model(tmp_path_factory.mktemp("model"), TEXTS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bags of 3 and of 40 patches: 4 and 7 tokens."""
    folder = tmp_path_factory.mktemp("bags")
    bag(folder / "small.h5", 3)
    bag(folder / "large.h5", 40)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make(model: str, images: Path, tmp_path: Path) -> Callable[..., PathologyDataset]:
    def make(*samples: dict[str, Any], **options: Any) -> PathologyDataset:
        if samples:
            options["data_path"] = str(tmp_path / "train.json")
            Path(options["data_path"]).write_text(json.dumps(samples))
        defaults = {"model": model, "image_folder": str(images), "prompt_template": PROMPT_TEMPLATE.llama3_chat}
        return PathologyDataset(**{**defaults, **options})

    return make


THREE = (sample("one", "small.h5"), sample("text"), sample("two", "large.h5", "small.h5"))


def test_samples_are_expanded(make: Callable[..., PathologyDataset], images: Path) -> None:
    dataset = make(*THREE)
    token = dataset.processor.image_token_id
    assert [item["id"] for item in (dataset[i] for i in range(3))] == ["one", "text", "two"]
    assert [dataset[i]["input_ids"].count(token) for i in range(3)] == [4, 0, 11]
    assert dataset[2]["images"] == [str(images / "large.h5"), str(images / "small.h5")]
    assert dataset[1]["images"] == []
    for i in range(3):
        item = dataset[i]
        assert all(label == -100 for label, id_ in zip(item["labels"], item["input_ids"], strict=True) if id_ == token)
        learnt = dataset.processor.tokenizer.decode([label for label in item["labels"] if label != -100])
        assert learnt == "An invasive carcinoma of grade two.<|eot_id|>"
    lengths = [len(dataset[i]["input_ids"]) for i in range(3)]
    assert dataset.modality_length == [lengths[0], -lengths[1], lengths[2]]
    assert len(LengthGroupedSampler(dataset, 2, length_property="modality_length", seed=0)) == 4


def test_a10_the_system_prompt_is_in_the_training_data(make: Callable[..., PathologyDataset]) -> None:
    """Published: the chat hook alone has it."""
    dataset = make(*THREE, system="Be brief.")
    for index in range(3):
        text = dataset.processor.tokenizer.decode(dataset[index]["input_ids"])
        assert text.startswith("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>")
        assert text.count("Be brief.") == text.count("<|begin_of_text|>") == 1


def test_the_limit_counts_vision_tokens_and_cuts_the_end(make: Callable[..., PathologyDataset]) -> None:
    long = make(*THREE)[2]
    cut = make(*THREE, max_length=len(long["input_ids"]) - 3)
    assert cut[2]["input_ids"] == long["input_ids"][:-3]
    assert cut[2]["labels"] == long["labels"][:-3]
    assert cut.modality_length[2] == len(long["input_ids"]) - 3


def test_all_that_is_bad_is_in_one_report(make: Callable[..., PathologyDataset], images: Path, tmp_path: Path) -> None:
    bag(images / "wide.h5", 5, width=12)
    silent = {**sample("silent", "small.h5"), "conversations": [{"from": "human", "value": "<image>"}]}
    long = sample("long", *["large.h5"] * 9)
    samples = [*THREE, sample("gone", "missing.h5"), sample("wide", "wide.h5"), silent, long]
    with pytest.raises(BadSamplesError) as caught:
        make(*samples, max_length=80)
    said = str(caught.value)
    assert said.startswith("4 of 7 samples cannot be used")
    for part in (
        "train.json:4: missing file",
        "train.json:5: wrong feature width",
        "train.json:6:",
        "train.json:7: too",
    ):
        assert part in said
    kept = make(data_path=str(tmp_path / "train.json"), max_length=80, on_bad_sample="skip")
    assert [kept[i]["id"] for i in range(len(kept))] == ["one", "text", "two"]
    assert kept.left_out == 4
    [report] = (tmp_path / "cache" / "xtuner_reports").iterdir()
    assert len(report.read_text().splitlines()) == 4


def test_w29_samples_without_a_question_are_in_the_report(make: Callable[..., PathologyDataset], model: str) -> None:
    mode = {"vision_feature_select_mode": "prompt_topk"}
    asks = str(derived(Path(model), config=mode, processor=mode))
    rows = [sample("asks", "small.h5"), sample("says nothing", "large.h5", text=""), sample("no image")]
    assert len(make(*rows)) == 3
    assert len(make(*rows, model=asks, on_bad_sample="skip")) == 2
    with pytest.raises(BadSamplesError, match=r"no question.*a turn of the user holds nothing but images"):
        make(*rows, model=asks)


def test_nothing_left(make: Callable[..., PathologyDataset]) -> None:
    silent = {**sample("silent"), "conversations": [{"from": "human", "value": "Hi"}]}
    with pytest.raises(BadSamplesError, match="No sample is left"):
        make(silent, on_bad_sample="skip")
    with pytest.raises(BadSamplesError, match="No sample is left"):
        make(sample("gone", "missing.h5"), on_bad_sample="skip")


def test_what_was_missing_is_looked_for_again(make: Callable[..., PathologyDataset], tmp_path: Path) -> None:
    table = tmp_path / "slides.csv"
    table.write_text(
        "h5_path,caption,question,answer,slide_id,dataset\n"
        + "".join(f"{tmp_path / name},c,What?,This.,{name},d\n" for name in ("a.h5", "b.h5"))
    )
    options = {"data_path": str(table), "format": "wsi_csv", "format_options": {"split": None}, "image_folder": None}
    bag(tmp_path / "a.h5", 4)
    assert len(make(**options, on_bad_sample="skip")) == 1
    assert len(make(**options, on_bad_sample="skip")) == 1
    bag(tmp_path / "b.h5", 5)
    assert len(make(**options)) == 2
    with pytest.raises(PathPluginsError, match=r"wsi_csv has no option \['splot'\]"):
        make(**{**options, "format_options": {"splot": 1}})


def test_a_bag_that_changed_is_looked_at_again(make: Callable[..., PathologyDataset], tmp_path: Path) -> None:
    bag(tmp_path / "slide.h5", 2)
    one = sample("one", "slide.h5")
    dataset = make(one, image_folder=str(tmp_path))
    assert dataset[0]["input_ids"].count(dataset.processor.image_token_id) == 3
    (tmp_path / "slide.h5").unlink()
    bag(tmp_path / "slide.h5", 4)
    again = make(one, image_folder=str(tmp_path))
    assert again[0]["input_ids"].count(dataset.processor.image_token_id) == 5


def test_what_was_found_before_the_clock_was_set_back_is_looked_at_again(
    make: Callable[..., PathologyDataset], tmp_path: Path
) -> None:
    bag(tmp_path / "slide.h5", 2)
    one = sample("one", "slide.h5")
    make(one, image_folder=str(tmp_path))
    found = [path for path in cache_dir().glob("xtuner_images/*.json") if path.name != "passed.json"]
    for path in found:
        path.write_text(json.dumps({**json.loads(path.read_text()), "looked_at": time.time() + 7200}))
    assert found
    (tmp_path / "slide.h5").unlink()
    bag(tmp_path / "slide.h5", 4)
    again = make(one, image_folder=str(tmp_path))
    assert again[0]["input_ids"].count(again.processor.image_token_id) == 5


def test_text_is_tokenized_once(make: Callable[..., PathologyDataset], monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(*THREE)
    monkeypatch.setattr("pathplugins.xtuner.datasets.write_texts", None)
    again = make(data_path=str(first.folder.parents[1] / "train.json"))
    assert again.folder == first.folder
    assert again[2] == first[2]
    with pytest.raises(TypeError):
        make(data_path=str(first.folder.parents[1] / "train.json"), system="Be brief.")


def test_a_subset_is_the_same_everywhere(make: Callable[..., PathologyDataset]) -> None:
    samples = [sample(f"s{i}") for i in range(40)]
    ids = [make(*samples, max_dataset_length=7)[i]["id"] for i in range(7)]
    assert len(set(ids)) == 7
    assert ids == [make(*samples, max_dataset_length=7)[i]["id"] for i in range(7)]
    assert ids != [f"s{i}" for i in range(7)]


def _build(options: dict[str, Any], log: Path) -> None:
    from pathplugins.xtuner import datasets as module

    original = module.write_texts

    def slow(*args: Any, **kwargs: Any) -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(1)
        original(*args, **kwargs)

    module.write_texts = slow
    assert len(PathologyDataset(**options)) == 3


def test_ranks_wait_for_the_one_that_works(model: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps(THREE))
    options = {"model": model, "data_path": str(tmp_path / "train.json"), "prompt_template": "vicuna"}
    options["image_folder"] = str(images)
    ranks = [multiprocessing.get_context("fork").Process(target=_build, args=(options, tmp_path / "log")) for _ in "12"]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
    assert [rank.exitcode for rank in ranks] == [0, 0]
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def published(folder: Path, model: str, samples: list[dict[str, Any]], template: str = "llama3_chat") -> Path:
    """A folder as XTuner's process_untokenized_llava_data.py writes it."""
    processed = process_hf_dataset(
        dataset=datasets.DatasetDict({"train": datasets.Dataset.from_list(samples)}),
        tokenizer=load_processor(model).tokenizer,
        max_length=1852,
        dataset_map_fn=llava_map_fn,
        template_map_fn=template_map_fn_factory(PROMPT_TEMPLATE[template]),
        remove_unused_columns=False,
        pack_to_max_length=False,
        with_image_token=True,
        map_num_proc=None,
    )
    processed.save_to_disk(folder)
    return folder


SINGLE = [sample("one", "small.h5"), sample("text"), sample("two", "large.h5")]


def test_a_published_folder(make: Callable[..., PathologyDataset], model: str, tmp_path: Path) -> None:
    folder = published(tmp_path / "sft_hfformat", model, SINGLE)
    got = make(offline_processed_text_folder=str(folder))
    wanted = make(*SINGLE)
    assert [got[i] for i in range(3)] == [wanted[i] for i in range(3)]
    assert got.modality_length == wanted.modality_length


def test_a_published_folder_of_another_tokenizer(
    make: Callable[..., PathologyDataset], model: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = published(tmp_path / "sft_hfformat", model, SINGLE)
    other = build_model(tmp_path_factory.mktemp("other"), ["Quite another language, quite other merges."])
    with pytest.raises(PathPluginsError, match=r"sft_hfformat was made with another tokenizer.*in row 0 token"):
        make(offline_processed_text_folder=str(folder), model=other)
    texts = datasets.load_from_disk(str(folder)).remove_columns("conversation")
    texts.map(lambda row: {"input_ids": [999, *row["input_ids"][1:]]}).save_to_disk(tmp_path / "beyond")
    with pytest.raises(PathPluginsError, match="row 0 holds token 999"):
        make(offline_processed_text_folder=str(tmp_path / "beyond"))


def test_rows_of_a_published_folder_that_do_not_fit(
    make: Callable[..., PathologyDataset], model: str, tmp_path: Path
) -> None:
    texts = datasets.load_from_disk(str(published(tmp_path / "a", model, SINGLE)))
    texts = texts.remove_columns("image").add_column("image", [None, "small.h5", "none.h5"])
    datasets.DatasetDict({"train": texts}).save_to_disk(tmp_path / "b")
    with pytest.raises(BadSamplesError) as caught:
        make(offline_processed_text_folder=str(tmp_path / "b"))
    said = str(caught.value)
    assert said.startswith("3 of 3 samples cannot be used: 2 x placeholder count, 1 x missing file")
    assert f"{tmp_path / 'b'}:2: missing file" in said


def test_not_a_folder_of_samples(make: Callable[..., PathologyDataset], tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="cannot be read as a folder"):
        make(offline_processed_text_folder=str(tmp_path / "none"))
    with pytest.raises(PathPluginsError, match="either data_path or"):
        make()
    with pytest.raises(PathPluginsError, match="prompt_template is needed"):
        make(*THREE, prompt_template=None)


def test_values_of_the_wrong_type_are_named(make: Callable[..., PathologyDataset]) -> None:
    with pytest.raises(PathPluginsError) as raised:
        make(sample("a", "small.h5"), max_length="long", on_bad_sample="skipp", check_images="no")
    assert str(raised.value) == (
        "dataset: max_length: got the text 'long', wanted a whole number; "
        "on_bad_sample: got the text 'skipp', wanted error or skip; did you mean 'skip'?; "
        "check_images: got the text 'no', wanted true or false; correct the config"
    )


def test_a_template_of_another_family_is_refused(make: Callable[..., PathologyDataset]) -> None:
    said = (
        r"prompt_template writes <\|im_start\|>, <\|im_end\|>, which the tokenizer of .*: PROMPT_TEMPLATE.llama3_chat$"
    )
    with pytest.raises(PathPluginsError, match=said):
        make(sample("a", "small.h5"), prompt_template="qwen_chat")
    assert len(make(sample("a", "small.h5"), prompt_template="vicuna")) == 1


def test_samples_that_show_nothing_are_told(
    make: Callable[..., PathologyDataset], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "pathplugins"):
        make(sample("a"), sample("b", "small.h5"))
        assert "has an image" not in caplog.text
        make(sample("a"), sample("b"))
    assert "none of the 2 samples of" in caplog.text
