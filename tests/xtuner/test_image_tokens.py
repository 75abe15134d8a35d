"""The images of a dataset: counted once, and refused with a reason where a model cannot use them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pathplugins.commands import configs
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT
from pathplugins.xtuner import image_tokens as module
from pathplugins.xtuner.image_tokens import image_tokens

pytestmark = pytest.mark.host

SHAPE = {"embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
CONFIG = """
from mmengine.config import read_base

with read_base():
    from .wsi_llava_stage2 import *

parts.update(
    llm="tiny-untrained-llama",
    vision_tower="wide.pth",
    vision_config=dict(num_heads=4, segment_lengths=[8], dilated_ratios=[1]),
    image_seq_length=7,
    patches_per_wsi=20,
)
model.llm.update(model=parts)
train_dataloader.update(num_workers=0)
train_dataloader.dataset.update(model=parts, data_path="wide.csv", image_folder="wide_bags", max_length=700)
train_dataloader.collate_fn.update(model=parts)
"""


def bag(path: Path, encoder: str, *, width: int = 1536, rows: int = 5) -> str:
    sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    about = BagAttributes(slide_id=path.stem, encoder=encoder, level0_width=7680, level0_height=5120, **sizes)
    features = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
    write_bag(path, [features], np.stack([np.arange(rows) // 7, np.arange(rows) % 7], 1) * 512, about)
    return str(path)


def save_tower(path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(LongNetViT(LongNetConfig(**SHAPE)).state_dict(), path)
    return path


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A model of the parts given, in a cache of its own."""
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_SETTLED", {})
    llm = build_tiny_llm(tmp_path / "llm", ["What does this slide show?"])
    return lambda **parts: str(compose(ComposeSpec(llm=str(llm), image_seq_length=3, **parts), tmp_path / "vlm"))


@pytest.mark.parametrize("check", [True, False])
def test_another_encoder_is_a_reason(composed: Callable[..., str], tmp_path: Path, check: bool) -> None:
    model = composed(vision_tower=str(save_tower(tmp_path / "wide.pth")), vision_config={"num_heads": 4})
    images = [bag(tmp_path / "a.h5", "gigapath"), bag(tmp_path / "b.h5", "h-optimus-1"), str(tmp_path / "absent.h5")]
    found = image_tokens(images, model, check=check)
    assert found.counts == [4, 0, 0]
    assert {code: why for code, (why, _) in found.failures.items()} == {1: "another encoder", 2: "missing file"}
    assert "'h-optimus-1', but the vision tower was trained on those of 'gigapath'" in found.failures[1][1]


def test_bags_of_all_data_sets_of_a_run_name_one_encoder(composed: Callable[..., str], tmp_path: Path) -> None:
    model = composed(vision_config={**SHAPE, "in_chans": 10}, random_vision_seed=0)
    train = [bag(tmp_path / f"{n}.h5", name, width=10) for n, name in enumerate(("uni", "mine", "mine"))]
    found = image_tokens(train, model)
    assert [*found.failures] == [0]
    assert "but 2 of 3 bags of this run name 'mine'" in found.failures[0][1]
    others = [bag(tmp_path / f"val{n}.h5", name, width=10) for n, name in enumerate(("uni", "uni", "mine"))]
    assert [*image_tokens(others, model).failures] == [0, 1]


def test_xtuner_train_refuses_it_unless_allowed(train_here: Callable[..., None], folder: Path) -> None:
    save_tower(folder / "wide.pth")
    (folder / "wide_bags").mkdir()
    with (folder / "wide.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["h5_path", "caption", "slide_id"])
        for name, encoder in {"own": "gigapath", "uni": "uni2-h"}.items():
            bag(folder / "wide_bags" / f"{name}.h5", encoder)
            writer.writerow([f"{name}.h5", "Carcinoma.", name])
    configs.copy(["wsi_llava_stage2.py"], folder)
    (folder / "wide.py").write_text(CONFIG)
    steps = ["train_cfg.max_epochs=None", "train_cfg.max_iters=2", "default_hooks.checkpoint.interval=2"]
    own = ["optim_wrapper.accumulative_counts=1", "custom_hooks.0.evaluation_images=wide_bags/own.h5"]
    words = ("--work-dir", folder / "wide", "--cfg-options", *steps, *own)
    said = (
        "1 of 2 samples cannot be used: 1 x another encoder\n  wide.csv:3: another encoder: wide_bags/uni.h5: features"
    )
    with pytest.raises(BadSamplesError, match=re.escape(said)):
        train_here("wide.py", *words)
    allowing = CONFIG.replace("parts.update(", "parts.update(\n    allow_other_encoder=True,")
    (folder / "wide_allowed.py").write_text(allowing)
    train_here("wide_allowed.py", *words)
    assert (folder / "wide" / "iter_2.pth").exists()
