"""PathoSynVLM by its shipped files: one slide, then cases whose answer depends on which of their slides is meant."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from slidechat_reference import tiny_qwen

pytestmark = pytest.mark.host

ORGANS = ("bladder", "kidney", "lung", "ovary")
QUESTION = "Which organ is the second slide of?"
WIDTH, SLIDES = 12, 3
TRAIN, TEST = 480, 32


def answer(organ: int) -> str:
    return f"It is {ORGANS[organ]}."


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], configs: Path) -> SimpleNamespace:
    del environment
    from pathplugins.data.turn_formats.pathosyn_qwen import REPORT_TASK

    root, rng = tmp_path_factory.mktemp("pathosyn"), np.random.default_rng(3)
    centres = rng.normal(size=(4, WIDTH)) * 1.5
    (root / "bags").mkdir()

    def bag(name: str, organ: int) -> str:
        features = centres[organ] + 0.5 * rng.normal(size=(int(rng.integers(1, 8)), WIDTH))
        with h5py.File(root / "bags" / f"{name}.h5", "w") as file:
            file["features/conch_v15"] = features.astype(np.float32)
        return f"bags/{name}.h5"

    def case(name: str, organs: Sequence[int], question: str, told: int) -> dict[str, str]:
        paths = [bag(f"{name}_{k}", organ) for k, organ in enumerate(organs)]
        return {"h5_path": ";".join(paths), "slide_id": name, "question": question, "answer": answer(told)}

    def table(name: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        with (root / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return rows

    def cases(split: str, count: int) -> list[dict[str, str]]:
        """Three slides of different organs and lengths: nothing but the markers tells where the second begins."""
        found = []
        for n in range(count):
            first, last = rng.choice([organ for organ in range(4) if organ != n % 4], 2, replace=False)
            found.append(case(f"{split}{n}", (first, n % 4, last), QUESTION, n % 4))
        return found

    table("pathosyn_reports", [case(f"one{n}", [n % 4], REPORT_TASK, n % 4) for n in range(8)])
    table("pathosyn_cases", cases("train", TRAIN))
    (root / "dataset_info.json").write_text((configs / "dataset_info.json").read_text())
    test = table("test", cases("test", TEST))
    llm = tiny_qwen(root / "llm", [QUESTION, REPORT_TASK, *map(answer, range(4))] * 3, model_type="qwen2", tied=False)
    return SimpleNamespace(root=root, llm=llm, test=test)


def keys(work: SimpleNamespace) -> dict[str, Any]:
    size = {"vision_config": '{"encoder":null,"feature_dim":12}'}
    size["default_system"] = "Look."  # the task is long, letter by letter
    usual = {"preprocessing_num_workers": 1, "dataloader_num_workers": 0, "bf16": False, "plot_loss": False}
    return {"llm_name_or_path": work.llm, "dataset_dir": work.root, **size, **usual}


@pytest.fixture(scope="module")
def aligned(run: Callable[..., Any], work: SimpleNamespace) -> Any:
    changes = {"output_dir": work.root / "align", "num_train_epochs": 2}
    return run("train", "pathosyn_align.yaml", {**keys(work), **changes})


@pytest.fixture(scope="module")
def trained(run: Callable[..., Any], work: SimpleNamespace, aligned: Any) -> Any:
    changes = {
        "projector_path": aligned.out,
        "output_dir": work.root / "instruct",
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 3e-3,
        "lr_mult": '{"joint_lora":1.5,"multi_modal_projector":2}',
        "num_train_epochs": 7,
    }
    return run("train", "pathosyn_instruct.yaml", {**keys(work), **changes})


def share(work: SimpleNamespace, model: Any, *, order: Sequence[int] = range(SLIDES)) -> float:
    from pathplugins.commands.ask import ask

    right = 0
    for row in work.test:
        bags = [work.root / path for path in row["h5_path"].split(";")]
        right += ask(model, QUESTION, bag=[bags[k] for k in order], max_new_tokens=8) == row["answer"]
    return right / len(work.test)


def test_it_learns_which_slide_is_meant(
    trained: Any, work: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.loading import load_model

    model = load_model(trained.out, device="cpu")
    seeing, moved = share(work, model), share(work, model, order=(1, 0, 2))
    model.model.ablate_vision = True
    blind = share(work, model)
    model.model.ablate_vision = False
    with torch.no_grad():
        model.model.multi_modal_projector.wsi_index_emb.zero_()
    unmarked = share(work, model)
    with capsys.disabled():
        said = f"second slide first {moved:.3f}, markers zeroed {unmarked:.3f}, blind {blind:.3f}"
        sys.stdout.write(f"\nPathoSynVLM, {len(work.test)} held-out cases of three slides: {seeing:.3f}, {said}\n")
    assert seeing >= 0.95
    assert moved <= 0.2, "the order of the slides decides which is meant"
    assert unmarked <= 0.8, "the markers tell where a slide begins"
    assert blind <= 0.35


def test_all_three_kinds_of_weights_are_trained_and_saved(trained: Any, aligned: Any, work: SimpleNamespace) -> None:
    found = {name: value for file in trained.out.glob("*.safetensors") for name, value in load_file(file).items()}
    before = load_file(work.llm / "model.safetensors")
    low = [name for name in found if ".joint_lora." in name]
    assert len(low) == 2 * 4 * 2
    assert all(found[name].abs().sum() > 0 for name in low)
    assert not any(torch.equal(found[name], before[name]) for name in before if name.endswith("_proj.weight"))
    connector = torch.load(aligned.out / "mm_projector.bin", weights_only=True)
    assert not torch.equal(found["multi_modal_projector.mlp.0.weight"], connector["mlp.0.weight"])
    assert "wsi_index_emb" not in connector
    assert found["multi_modal_projector.wsi_index_emb"].shape[0] == 32


def test_the_shipped_files_hold_the_published_values(configs: Path) -> None:
    align, instruct = (
        yaml.safe_load((configs / f"pathosyn_{name}.yaml").read_text()) for name in ("align", "instruct")
    )
    both = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "warmup_ratio": 0.03}
    both |= {
        "weight_decay": 0.01,
        "adam_beta2": 0.95,
        "max_grad_norm": 1.0,
        "lr_scheduler_type": "cosine",
        "bf16": True,
    }
    for found, epochs in ((align, 10), (instruct, 20)):
        assert {key: found[key] for key in both} == both
        assert found["num_train_epochs"] == epochs
    assert align["learning_rate"] == 1e-4
    rates = {"joint_lora": 2e-5, "multi_modal_projector": 1e-4}
    assert instruct["learning_rate"] == 5e-6
    assert {name: pytest.approx(5e-6 * factor) for name, factor in instruct["lr_mult"].items()} == rates
    assert instruct["joint_lora"] == {
        **{"rank": 16, "alpha": 32, "dropout": 0.05},
        "target": ["q_proj", "k_proj", "v_proj", "o_proj"],
    }
    budget = {"patches_per_case": 4096, "patches_sampling": "first", "case_shares": "in_order"}
    assert {key: instruct[key] for key in budget} == budget
    entries = json.loads((configs / "dataset_info.json").read_text())
    assert {entries[found["dataset"]]["formatting"] for found in (align, instruct)} == {"wsi_csv"}
