"""An eye that was not possible before learns to tell four organs apart: a DINOv2 with registers from a hub folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
from hub_eyes import ORGANS, QUESTION, organs, registers_folder, rows
from twin_shares import shares

from pathplugins.commands.configs import folder as shipped
from pathplugins.published.encoders.hibou import PREPROCESS

pytestmark = pytest.mark.host
pytest.importorskip("timm")

EPOCHS, BATCH = 14, 16
SMALL = """from mmengine.config import read_base

with read_base():
    from .ptcga200_vqa import *

parts.update(llm={llm!r}, vision_tower={tower!r})
model.llm.update(model=parts, torch_dtype="float32")
model.update(lr_mult=None)
train_dataloader.update(batch_size={batch}, num_workers=0)
train_dataloader.dataset.update(model=parts, data_path={data!r}, image_folder={images!r}, max_length=512)
train_dataloader.collate_fn.update(model=parts)
default_hooks.checkpoint.update(interval={steps})
train_cfg.update(max_epochs={epochs})
param_scheduler = []
optim_wrapper.optimizer.update(lr=3e-3)
env_cfg.dist_cfg.update(backend="gloo")
"""


@pytest.fixture(scope="module")
def trained(folder: Path, start: Callable[..., Any]) -> SimpleNamespace:
    root = folder / "eyes"
    seen, unseen = organs(root / "images", images=64, seed=0), organs(root / "images", images=24, seed=1)
    (root / "organs.json").write_text(json.dumps(rows(seen, root)))
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *(f"This is {organ}." for organ in ORGANS)] * 8)
    for name in ("pathology_base", "pathgen_phase1", "ptcga200_vqa"):
        shutil.copyfile(shipped("xtuner") / f"{name}.py", folder / f"{name}.py")
    steps = EPOCHS * len(seen) // BATCH
    places = {"llm": str(llm), "tower": str(registers_folder(root / "hibou")), "data": str(root / "organs.json")}
    text = SMALL.format(images=str(root), epochs=EPOCHS, batch=BATCH, steps=steps, **places)
    (folder / "small_eyes.py").write_text(text)
    run = start("small_eyes.py", "--seed", 7, work="work/eyes").end()
    return SimpleNamespace(last=run.checkpoint(steps), unseen=unseen)


def test_its_answers_come_from_the_image(
    trained: SimpleNamespace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.xtuner.export import export_checkpoint

    monkeypatch.chdir(folder)
    export_checkpoint(trained.last, Path("small_eyes.py"), Path("eyes_hf"))
    from pathplugins.commands.loading import load_model

    held = [(file, f"This is {organ}.") for file, organ in trained.unseen]
    seeing, blind = shares(load_model("eyes_hf", device="cpu"), QUESTION, held)
    assert seeing >= 0.95
    assert blind <= 0.35
    pixels = json.loads(Path("eyes_hf/preprocessor_config.json").read_text())
    assert (pixels["image_mean"], pixels["image_std"]) == (list(PREPROCESS.mean), list(PREPROCESS.std))
