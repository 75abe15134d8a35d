"""PTCGA200's encoder as the eye of a model, by the shipped config: trained, exported, asked (features T36)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
import torch
from safetensors.torch import load_file

from pathplugins.commands.configs import folder as shipped
from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn
from pathplugins.encoders.write_folder import write_encoder_folder
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.published.encoders import CARDS

pytestmark = pytest.mark.host
timm = pytest.importorskip("timm")

EPOCHS = 20
SMALL = """from mmengine.config import read_base

with read_base():
    from .ptcga200_vqa import *

parts.update(llm={llm!r}, vision_tower={tower!r}, vision_config=dict(select_layer=-1))
model.llm.update(model=parts, torch_dtype="float32")
model.update(lr_mult=None)
train_dataloader.update(batch_size=4, num_workers=0)
train_dataloader.dataset.update(model=parts, data_path={data!r}, image_folder={images!r}, max_length=512)
train_dataloader.collate_fn.update(model=parts)
default_hooks.checkpoint.update(interval=4 * {epochs})
train_cfg.update(max_epochs={epochs})
param_scheduler = []
optim_wrapper.optimizer.update(lr=4e-3)
env_cfg.dist_cfg.update(backend="gloo")
"""


@pytest.fixture(scope="module")
def trained(folder: Path, start: Callable[..., Any]) -> SimpleNamespace:
    """A run of the shipped config made small, with the dilated ResNet of PatchTCGA made small as its eye."""
    root = folder / "ptcga200"
    records, _ = read_drawn(root / "images", images=16)
    said = {record.id: caption(record.meta["kind"]) for record in records}
    rows = [
        {
            "id": name,
            "conversations": [{"from": "human", "value": f"<image>\n{QUESTION}"}, {"from": "gpt", "value": text}],
            "images": [f"{name}.png"],
        }
        for name, text in said.items()
    ]
    (root / "ptcga200.json").write_text(json.dumps(rows))
    torch.manual_seed(3)
    model = timm.create_model("test_resnet", num_classes=0, output_stride=8)
    card = next(card for card in CARDS if card.name == "ptcga200-byol")
    write_encoder_folder(
        root / "tower",
        architecture="test_resnet",
        model_args={"output_stride": 8},
        state=model.state_dict(),
        preprocess=replace(card.preprocess, resize_px=32, crop_px=32),
        origin={"encoder": card.name},
    )
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *said.values()] * 4)
    for name in ("pathology_base", "pathgen_phase1", "ptcga200_vqa"):
        shutil.copyfile(shipped("xtuner") / f"{name}.py", folder / f"{name}.py")
    places = {"llm": str(llm), "tower": str(root / "tower"), "data": str(root / "ptcga200.json")}
    text = SMALL.format(images=str(root / "images"), epochs=EPOCHS, **places)
    (folder / "small_ptcga200.py").write_text(text)
    run = start("small_ptcga200.py", "--seed", 7, work="work/ptcga200_vqa").end()
    return SimpleNamespace(run=run, last=run.checkpoint(4 * EPOCHS), records=records, said=said, model=model)


def test_it_learns_without_moving_the_eye(trained: Any) -> None:
    losses = trained.run.losses()
    assert len(losses) == 4 * EPOCHS
    assert sum(losses[4 * EPOCHS - n] for n in range(4)) < sum(losses[1 + n] for n in range(4)) / 3
    names = read_checkpoint(trained.last)
    assert any("multi_modal_projector" in name for name in names)
    assert not [name for name in names if "vision_tower" in name]


def test_the_exported_model_answers_with_the_imported_eye(
    trained: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model
    from pathplugins.models.towers.timm_norms import folded
    from pathplugins.xtuner.export import export_checkpoint

    monkeypatch.chdir(folder)
    export_checkpoint(trained.last, Path("small_ptcga200.py"), Path("ptcga200_hf"))
    state = {
        name: value for path in Path("ptcga200_hf").glob("*.safetensors") for name, value in load_file(path).items()
    }
    own = folded(trained.model, trained.model.state_dict())
    eye = {name.partition("encoder.")[2]: value for name, value in state.items() if name.startswith("vision_tower.")}
    assert eye.keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in eye.items())
    settings = json.loads(Path("ptcga200_hf/preprocessor_config.json").read_text())
    assert (settings["interpolation"], settings["tokens_per_tile"]) == ("bilinear", 16)
    model = load_model("ptcga200_hf", device="cpu")
    said = [ask(model, QUESTION, image=record.images[0], max_new_tokens=24) for record in trained.records[:8]]
    assert sum(text == trained.said[record.id] for text, record in zip(said, trained.records, strict=False)) >= 4, (
        "twice as many as by chance; how well so short a run learns depends on the version of PyTorch"
    )
