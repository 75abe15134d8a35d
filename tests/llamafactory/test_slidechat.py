"""SlideChat by its shipped files, from its published data to an answer about slides that nobody trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slidechat_reference as reference
import torch
import yaml
from safetensors.torch import load_file
from slidechat_toy import QUESTION, Toy, accuracies

pytestmark = pytest.mark.host

PARTS = '{"embed_dim":16,"ffn_dim":32,"num_heads":4,"dropout":0.0,"drop_path_rate":0.0}'


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], configs: Path) -> Toy:
    """The commands that the shipped files name have made bags of the CSVs, and a file of conversations."""
    from pathplugins.data_tools.cli import main

    del environment
    made = Toy(tmp_path_factory.mktemp("slidechat"), train=128, held=48)
    made.bags()
    words = ["convert", "slidechat", str(made.root / "train.json"), "--image-suffix", ".h5", "--to", "sharegpt"]
    assert main([*words, "--out", str(made.root / "data" / "slidechat_caption.json")]) == 0
    shutil.copyfile(made.root / "data" / "slidechat_caption.json", made.root / "data" / "slidechat_vqa.json")
    shutil.copyfile(configs / "dataset_info.json", made.root / "data" / "dataset_info.json")
    return made


@pytest.fixture(scope="module")
def keys(toy: Toy) -> dict[str, Any]:
    """What tiny parts and a machine without a GPU want different from the shipped files."""
    return {
        "llm_name_or_path": toy.llm,
        "vision_config": PARTS,
        "dataset_dir": toy.root / "data",
        "media_dir": toy.root / "bags",
        "patches_per_wsi": 24,
        "cutoff_len": 256,
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
        "learning_rate": 3e-3,
        "fp16": False,
        "plot_loss": False,
    }


@pytest.fixture(scope="module")
def stage1(run: Callable[..., Any], toy: Toy, keys: dict[str, Any]) -> Any:
    return run("train", "slidechat_stage1.yaml", {**keys, "output_dir": toy.root / "stage1", "num_train_epochs": 1})


@pytest.fixture(scope="module")
def stage2(run: Callable[..., Any], toy: Toy, keys: dict[str, Any], stage1: Any) -> Any:
    own = {"vision_tower": stage1.out, "projector_path": stage1.out, "num_train_epochs": 7}
    return run("train", "slidechat_stage2.yaml", {**keys, **own, "output_dir": toy.root / "stage2"})


def test_stage_1_trains_slide_encoder_and_connector_alone(stage1: Any, toy: Toy) -> None:
    after, llm = load_file(stage1.out / "model.safetensors"), load_file(toy.llm / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in llm.items())
    norms = {name: value for name, value in after.items() if name.startswith("vision_tower.") and "norm" in name}
    assert len([name for name in norms if name.endswith(".bias")]) == 7
    assert all(value.any() for name, value in norms.items() if name.endswith(".bias")), "they begin with zeros"


def test_stage_2_goes_on_with_both_and_trains_the_language_model(stage1: Any, stage2: Any) -> None:
    before, after = (load_file(run.out / "model.safetensors") for run in (stage1, stage2))
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == {name for name in before if ".q_proj." in name and "vision" in name} | {
        name for name in before if ".k_proj." in name and "vision" in name
    }, "queries and keys of the slide encoder learn nothing, in either stage"
    assert len(kept) == 8
    moved = (after["vision_tower.layers.0.ffn.fc1.weight"] - before["vision_tower.layers.0.ffn.fc1.weight"]).abs().max()
    assert moved < 0.1, "else it began anew"
    losses = list(stage2.logged("loss").values())
    assert sum(losses[-4:]) < sum(losses[:4]) / 20


def test_the_answers_come_from_the_slide(toy: Toy, stage2: Any) -> None:
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.prompting import conversation

    model = load_model(stage2.out, device="cpu")
    seeing, blind = accuracies(model, toy)
    assert seeing >= 0.95
    assert blind <= 0.35
    own = lambda text: model.processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids, labels = reference.ids_and_labels([(f"{QUESTION}\n<image>", "?")], own)
    prompt = [token for token, label in zip(ids, labels, strict=True) if label == reference.MASKED][: -len(own("\n"))]
    bag = toy.root / "bags" / "held0.h5"
    wanted, _ = reference.wide(prompt, prompt, [model.processor.num_image_tokens(bag)], model.processor.image_token_id)

    assert model.processor([conversation(model.processor.tokenizer, QUESTION)], [[bag]])["input_ids"].tolist() == [
        wanted
    ]


STAGES = {
    "stage1": {"learning_rate": 1e-3, "num_train_epochs": 5, "cutoff_len": 51200, "freeze_language_model": True},
    "stage2": {"learning_rate": 2e-5, "num_train_epochs": 2, "cutoff_len": 19600, "freeze_language_model": False},
}
BOTH = {
    "vision_model_name": "slidechat",
    "mm_projector_type": "mlp2x_gelu",
    "vision_feature_select_mode": "none",
    "patches_per_wsi": 10240,
    "patches_sampling": "linspace",
    "finetuning_type": "full",
    "freeze_vision_tower": False,
    "freeze_multi_modal_projector": False,
    "template": "slidechat_qwen",
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "fp16": True,
    "deepspeed": "deepspeed/zero2.json",
}


@pytest.mark.parametrize("stage", STAGES)
def test_published_values(configs: Path, stage: str) -> None:
    found = yaml.safe_load((configs / f"slidechat_{stage}.yaml").read_text())
    wanted = {**BOTH, **STAGES[stage]}
    assert {key: found.get(key) for key in wanted} == wanted
    assert not {"warmup_ratio", "warmup_steps"} & found.keys()
    entry = json.loads((configs / "dataset_info.json").read_text())[found["dataset"]]
    assert (entry["file_name"], entry["formatting"]) == (f"{found['dataset']}.json", "sharegpt")


def test_a_text_that_writes_a_marker_is_reported_by_file_and_row(
    run: Callable[..., Any], toy: Toy, keys: dict[str, Any], tmp_path: Path
) -> None:
    rows = json.loads((toy.root / "data" / "slidechat_caption.json").read_text())[:2]
    rows[1]["conversations"][1]["value"] = "It ends<|im_end|>\n<|im_start|>user"
    (tmp_path / "slidechat_caption.json").write_text(json.dumps(rows))
    shutil.copyfile(toy.root / "data" / "dataset_info.json", tmp_path / "dataset_info.json")
    own = {**keys, "dataset_dir": tmp_path, "output_dir": tmp_path / "out"}
    log = run("train", "slidechat_stage1.yaml", own, rc=1).log
    assert "slidechat_caption.json:2: marker in the text: train::1: a text holds <|im_start|>" in log
