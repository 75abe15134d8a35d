"""An eye that was not possible before learns to tell four organs apart: a DINOv2 with registers from a hub folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
from hub_eyes import ORGANS, PATCH, QUESTION, SIDE, organs, registers_folder, rows
from twin_shares import shares

from pathplugins.published.encoders.hibou import PREPROCESS

pytestmark = pytest.mark.host
pytest.importorskip("timm")


@pytest.fixture(scope="module")
def trained(
    run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> SimpleNamespace:
    del environment
    root = tmp_path_factory.mktemp("eyes")
    seen, unseen = organs(root / "images", images=64, seed=0), organs(root / "images", images=24, seed=1)
    (root / "ptcga200.json").write_text(json.dumps(rows(seen, root)))
    entry = {"file_name": "ptcga200.json", "formatting": "sharegpt"}
    entry |= {"columns": {"messages": "conversations", "images": "images"}}
    (root / "dataset_info.json").write_text(json.dumps({"ptcga200": entry}))
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *(f"This is {organ}." for organ in ORGANS)] * 8)
    keys = {
        "llm_name_or_path": llm,
        "vision_tower": registers_folder(root / "hibou"),
        "dataset_dir": root,
        "output_dir": root / "out",
        "deepspeed": "null",
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "per_device_train_batch_size": 16,
        "learning_rate": 3e-3,
        "lr_mult": "null",
        "num_train_epochs": 14,
        "bf16": False,
        "tf32": False,
        "plot_loss": False,
    }
    done = run("train", "ptcga200_vqa.yaml", keys)
    return SimpleNamespace(done=done, out=Path(done.out), unseen=unseen)


def test_its_answers_come_from_the_image(trained: SimpleNamespace) -> None:
    from pathplugins.commands.loading import load_model

    held = [(file, f"This is {organ}.") for file, organ in trained.unseen]
    seeing, blind = shares(load_model(trained.out, device="cpu"), QUESTION, held)
    assert seeing >= 0.95
    assert blind <= 0.35


def test_the_directory_records_the_eye_and_its_pixels(trained: SimpleNamespace) -> None:
    eye = json.loads((trained.out / "config.json").read_text())["vision_config"]
    assert (eye["tokens_per_tile"], eye["prefix_tokens"], eye["class_token"]) == ((SIDE // PATCH) ** 2, 5, True)
    pixels = json.loads((trained.out / "preprocessor_config.json").read_text())
    assert (pixels["image_mean"], pixels["image_std"]) == (list(PREPROCESS.mean), list(PREPROCESS.std))
    assert pixels["interpolation"] == "bicubic"
