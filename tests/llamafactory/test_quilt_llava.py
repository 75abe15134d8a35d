"""Quilt-LLaVA by its shipped files: both phases, and answers that come from the image."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
import torch
import yaml
from safetensors.torch import load_file
from twin_shares import shares

pytestmark = pytest.mark.host

TOWER = (
    '{"hidden_size":48,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":4,'
    '"image_size":32,"patch_size":8}'
)
EPOCHS = 24


def rows(records: list[Any], *, more: bool) -> list[dict[str, Any]]:
    """As in Quilt-Instruct: one image by its name, two rounds in every other conversation."""
    from pathplugins.data.formats.drawn import QUESTION, caption

    found = []
    for number, record in enumerate(records):
        turns = [(f"<image>\n{QUESTION}", caption(record.meta["kind"]))]
        if more and number % 2:
            turns.append(("Say it again.", caption(record.meta["kind"])))
        said = [{"from": who, "value": t} for turn in turns for who, t in zip(("human", "gpt"), turn, strict=True)]
        found.append({"id": str(number), "image": Path(record.images[0]).name, "conversations": said})
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> SimpleNamespace:
    """Drawn images of four kinds under the names of the shipped data sets, others to be asked about, a tiny Vicuna."""
    from pathplugins.data.formats.drawn import KINDS, QUESTION, caption, read_drawn

    del environment
    root = tmp_path_factory.mktemp("quilt")
    records, _ = read_drawn(root / "images", images=32)
    held, _ = read_drawn(root / "held", images=20, seed=1)
    (root / "quilt_pretrain.json").write_text(json.dumps(rows(records, more=False)))
    (root / "quilt_instruct_107k.json").write_text(json.dumps(rows(records, more=True)))
    texts = [QUESTION, "Say it again.", *map(caption, KINDS)]
    llm = reference.tiny_vicuna(root / "llm", texts * 8)
    return SimpleNamespace(root=root, llm=llm, held=held)


@pytest.fixture(scope="module")
def keys(work: SimpleNamespace, configs: Path) -> dict[str, Any]:
    shipped = json.loads((configs / "dataset_info.json").read_text())
    (work.root / "dataset_info.json").write_text(json.dumps(shipped))
    return {
        "llm_name_or_path": work.llm,
        "vision_tower": "null",
        "random_vision_seed": 0,
        "vision_config": TOWER,
        "dataset_dir": work.root,
        "media_dir": work.root / "images",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 4,
        "plot_loss": False,
    }


@pytest.fixture(scope="module")
def pretrained(run: Callable[..., Any], work: SimpleNamespace, keys: dict[str, Any]) -> Any:
    return run("train", "quilt_pretrain.yaml", {**keys, "output_dir": work.root / "pretrain"})


@pytest.fixture(scope="module")
def instructed(run: Callable[..., Any], work: SimpleNamespace, keys: dict[str, Any], pretrained: Any) -> Any:
    own = {"output_dir": work.root / "instruct", "projector_path": pretrained.out, "num_train_epochs": EPOCHS}
    return run("train", "quilt_instruct.yaml", {**keys, **own, "learning_rate": 3e-3})


def test_the_first_phase_cuts_images_and_trains_the_connector(pretrained: Any) -> None:
    assert json.loads((pretrained.out / "preprocessor_config.json").read_text())["image_aspect_ratio"] == "square"
    assert len(pretrained.logged("loss")) == 32 // 4
    assert (pretrained.out / "mm_projector.bin").is_file()


def test_the_second_pads_them_and_begins_with_it(pretrained: Any, instructed: Any) -> None:
    assert json.loads((instructed.out / "preprocessor_config.json").read_text())["image_aspect_ratio"] == "pad"
    before, after = (load_file(each.out / "model.safetensors") for each in (pretrained, instructed))
    eye = [name for name in before if name.startswith("vision_tower.")]
    assert len(eye) > 20
    assert all(torch.equal(before[name], after[name]) for name in eye)
    assert not torch.equal(before["lm_head.weight"], after["lm_head.weight"])


def test_it_learns_four_kinds_of_images_and_nothing_without_them(
    instructed: Any, work: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """On images that were in no training."""
    from pathplugins.commands.loading import load_model
    from pathplugins.data.formats.drawn import QUESTION, caption

    model = load_model(instructed.out, device="cpu")
    held = [(one.images[0], caption(one.meta["kind"])) for one in work.held]
    seeing, blind = shares(model, QUESTION, held)
    with capsys.disabled():
        sys.stdout.write(f"\naccuracy on {len(held)} held-out images: {seeing:.3f}, without vision {blind:.3f}\n")
    assert seeing >= 0.95
    assert blind <= 0.35


PUBLISHED = {
    "finetuning_type": "full",
    "freeze_vision_tower": True,
    "freeze_multi_modal_projector": False,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "bf16": True,
    "tf32": True,
    "num_train_epochs": 1,
    "gradient_accumulation_steps": 1,
    "weight_decay": 0.0,
    "warmup_ratio": 0.03,
    "lr_scheduler_type": "cosine",
    "cutoff_len": 2048,
    "save_total_limit": 1,
    "logging_steps": 1,
}
PHASES = {
    "pretrain": {
        "template": "pathgen_plain",
        "image_aspect_ratio": "square",
        "freeze_language_model": True,
        "per_device_train_batch_size": 32,
        "learning_rate": 1e-3,
        "save_steps": 800,
        "deepspeed": "deepspeed/zero2.json",
    },
    "instruct": {
        "template": "pathgen_v1",
        "image_aspect_ratio": "pad",
        "freeze_language_model": False,
        "per_device_train_batch_size": 16,
        "learning_rate": 2e-5,
        "save_steps": 300,
        "group_by_modality_length": False,
        "deepspeed": "deepspeed/zero3.json",
    },
}


@pytest.mark.parametrize("phase", PHASES)
def test_published_values(phase: str, configs: Path) -> None:
    found = yaml.safe_load((configs / f"quilt_{phase}.yaml").read_text())
    wanted = {**PUBLISHED, **PHASES[phase]}
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["llm_name_or_path"].endswith("vicuna-7b-v1.5")
    assert found["vision_tower"].endswith("QuiltNet-B-32")
