"""Features as they are, by the shipped file: bags without positions, learnt from and answered from."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from pathplugins import cli

pytestmark = pytest.mark.host

ORGANS = ("brain", "kidney", "liver", "lung")
WIDTH, TRAIN, TEST = 24, 64, 32
QUESTION = "Which organ is this?"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> SimpleNamespace:
    """Bags of 9 to 20 rows, most of them near the centre of their organ; no positions, no encoder named."""
    from pathplugins.data.prompts import SYSTEM_PROMPT
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    del environment
    root = tmp_path_factory.mktemp("features_vqa")
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((len(ORGANS), WIDTH))
    for part, count in (("train", TRAIN), ("valid", 4), ("test", TEST)):
        with (root / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["h5_path", "caption", "question", "answer", "slide_id", "dataset"])
            for number in range(count):
                rows, organ = int(rng.integers(9, 21)), number % len(ORGANS)
                features = rng.standard_normal((rows, WIDTH)) / 2
                features[: -(-rows * 7 // 10)] += centres[organ]
                with h5py.File(root / f"{part}_{number}.h5", "w") as bag:
                    bag["features"] = rng.permutation(features).astype(np.float32)
                writer.writerow([f"{part}_{number}.h5", "", QUESTION, ORGANS[organ], f"{part}_{number}", "toy"])
    entries = {
        f"diagnosis_{part}": {"file_name": f"{part}.csv", "formatting": "wsi_csv", "subset": "vqa"}
        for part in ("train", "valid")
    }
    (root / "dataset_info.json").write_text(json.dumps(entries))
    llm = build_tiny_llm(root / "llm", [SYSTEM_PROMPT, QUESTION, *ORGANS] * 4, vocabulary=400)
    return SimpleNamespace(root=root, llm=llm)


@pytest.fixture(scope="module")
def trained(run: Callable[..., Any], work: SimpleNamespace) -> Any:
    keys = {
        "llm_name_or_path": work.llm,
        "vision_config": json.dumps({"encoder": None, "feature_dim": WIDTH}),
        "dataset_dir": work.root,
        "output_dir": work.root / "out",
        "template": "custom_vqa_llama3",
        "finetuning_type": "full",
        "lr_mult": "null",
        "learning_rate": 2e-3,
        "lr_scheduler_type": "constant_with_warmup",
        "num_train_epochs": 15,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "eval_steps": 40,
        "save_steps": 40,
        "logging_steps": 8,
        "bf16": False,
        "plot_loss": False,
    }
    return run("train", "features_vqa.yaml", keys)


def test_answers_come_from_the_features(trained: Any, work: SimpleNamespace, tmp_path: Path) -> None:
    words = ["--data", str(work.root / "test.csv"), "--format", "wsi_csv", "--task", "vqa", "--device", "cpu"]
    more = ["--max-new-tokens", "4", "--conditions", "zeroed", "--out", str(tmp_path / "ablation")]
    assert cli.main(["ablate", str(trained.out), *words, *more]) == 0
    told = json.loads((tmp_path / "ablation" / "ablation.json").read_text())["conditions"]
    accuracy = {name: condition["metrics"]["accuracy"]["value"] for name, condition in told.items()}
    assert accuracy["real"] >= 0.95
    assert accuracy["zeroed"] <= 0.35
