"""The official WSI-LLaVA by its shipped file: LLaVA-1.5 with its eye bypassed learns WSI-Bench and answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pooled_slides import CONVERSATIONS, QUESTION, ROWS, PooledSlides, pooled_slides, wanted_ids
from twin_shares import shares

from pathplugins.data_tools.cli import main as pathdata
from pathplugins.models.foreign.wsi_llava.read import import_wsi_llava

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> PooledSlides:
    """As the head of the shipped file says: the start is imported, the questions are converted."""
    del environment
    made = pooled_slides(tmp_path_factory.mktemp("official"))
    import_wsi_llava(made.llava, made.root / "hf_start")
    words = ["convert", "wsi-bench", made.root / "dataset", "--split", "train", "--image-suffix", ".h5"]
    words += ["--image-folder", made.root / "pooled", "--out", made.root / "wsi_bench_train.jsonl"]
    assert pathdata([str(word) for word in words]) == 0
    return made


@pytest.fixture(scope="module")
def trained(run: Callable[..., Any], slides: PooledSlides, configs: Path) -> Any:
    (slides.root / "dataset_info.json").write_text((configs / "dataset_info.json").read_text())
    keys = {
        "model_name_or_path": slides.root / "hf_start",
        "dataset_dir": slides.root,
        "media_dir": slides.root / "pooled",
        "output_dir": slides.root / "out",
        "deepspeed": "null",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 4e-3,
        "num_train_epochs": 7,
        "bf16": False,
        "tf32": False,
        "plot_loss": False,
    }
    return run("train", "wsi_llava_official.yaml", keys)


def test_it_learns_from_the_slides(trained: Any, slides: PooledSlides, capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.commands.loading import load_model

    model = load_model(slides.root / "hf_start", adapter=trained.out, device="cpu")
    seeing, blind = shares(model, QUESTION, slides.held())
    with capsys.disabled():
        sys.stdout.write(f"\nofficial WSI-LLaVA, {len(slides.test)} held-out slides: {seeing:.3f}, blind {blind:.3f}\n")
    assert seeing >= 0.95
    assert blind <= 0.35


def test_the_adapter_holds_lora_of_the_language_model_and_the_whole_connector(trained: Any) -> None:
    from safetensors.torch import load_file

    names = load_file(trained.out / "adapter_model.safetensors")
    lora = [name for name in names if ".lora_" in name]
    assert len(lora) == 2 * 2 * 7
    assert all(".model.layers." in name for name in lora)
    assert sorted(name.partition("multi_modal_projector.")[2] for name in names if name not in lora) == [
        *("linear_1.bias", "linear_1.weight", "linear_2.bias", "linear_2.weight"),
    ]


def test_ids_and_labels_are_those_of_llava_and_a_question_is_asked_as_it_was_trained(slides: PooledSlides) -> None:
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.data.template import TEMPLATES

    from pathplugins.commands.loading import load_processor
    from pathplugins.commands.prompting import conversation

    processor = load_processor(slides.root / "hf_start")
    own = lambda text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    bag, slide = str(slides.bag(slides.train[0])), [processor.image_token_id] * ROWS
    data = SimpleNamespace(cutoff_len=4096, train_on_prompt=False, mask_history=False)
    ours = SupervisedDatasetProcessor(TEMPLATES["pathgen_v1"], processor.tokenizer, processor, data)
    said = [
        [
            {"role": who, "content": text}
            for turn in turns
            for who, text in zip(("user", "assistant"), turn, strict=True)
        ]
        for turns in CONVERSATIONS
    ]
    columns = {"_prompt": [one[:-1] for one in said], "_response": [one[-1:] for one in said]}
    columns["_images"] = [[bag] * sum(q.count("<image>") for q, _ in turns) for turns in CONVERSATIONS]
    got = ours.preprocess_dataset(
        columns | {f"_{name}": [None] * 5 for name in ("system", "tools", "videos", "audios")}
    )
    for number, turns in enumerate(CONVERSATIONS):
        ids, labels = wanted_ids(turns, own, slide)
        assert (got["input_ids"][number], got["labels"][number]) == (ids, labels)
    asked = processor([conversation(processor.tokenizer, QUESTION)], [[bag]])["input_ids"][0].tolist()
    assert asked == got["input_ids"][0][: len(asked)]
    assert got["labels"][0][len(asked)] != -100
    assert len(set(got["labels"][0][: len(asked)])) == 1


def test_the_shipped_file_holds_the_published_values(configs: Path) -> None:
    found = yaml.safe_load((configs / "wsi_llava_official.yaml").read_text())
    wanted = {"lora_rank": 128, "lora_alpha": 256, "lora_dropout": 0.05, "learning_rate": 2e-4, "num_train_epochs": 3}
    wanted |= {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 4, "warmup_ratio": 0.03}
    wanted |= {"weight_decay": 0, "cutoff_len": 2048, "template": "pathgen_v1", "group_by_modality_length": True}
    assert {key: found[key] for key in wanted} == wanted
    assert found["learning_rate"] * found["lr_mult"]["multi_modal_projector"] == pytest.approx(2e-5)
    assert json.loads((configs / "dataset_info.json").read_text())[found["dataset"]]["formatting"] == "llava"
