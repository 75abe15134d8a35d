"""WSI-LLaVA in XTuner: both shipped stages on bags of patch features, with small parts and their own optimizer."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config

from pathplugins.commands import configs
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.export import export_checkpoint

pytestmark = pytest.mark.host

WIDTH = 10
SMALL = """
from mmengine.config import read_base

with read_base():
    from .wsi_llava_stage{stage} import *

parts.update(
    llm="tiny-untrained-llama",
    vision_tower=None,
    random_vision_seed=0,
    vision_config=dict(in_chans=10, embed_dim=24, depth=2, num_heads=4, segment_lengths=[8, 20], dilated_ratios=[1, 2]),
    image_seq_length=7,
    patches_per_wsi=20,
)
model.llm.update(model=parts)
train_dataloader.update(num_workers=0)
train_dataloader.dataset.update(model=parts, data_path="slides.csv", image_folder="bags", max_length=700)
train_dataloader.collate_fn.update(model=parts)
"""


@pytest.fixture(scope="module")
def slides(folder: Path) -> Path:
    """Bags of 5 to 33 patches and a table of reports and questions; the shipped configs, made small."""
    rows = []
    for number, patches in enumerate((5, 33, 12, 21)):
        cells = np.stack([np.arange(patches) // 6, np.arange(patches) % 6], 1)
        sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
        about = BagAttributes(slide_id=f"s{number}", encoder="none", level0_width=51_200, level0_height=25_600, **sizes)
        features = np.random.default_rng(number).standard_normal((patches, WIDTH)).astype(np.float32)
        write_bag(folder / "bags" / f"s{number}.h5", [features], cells * 512, about)
        row = {"h5_path": f"s{number}.h5", "caption": f"Carcinoma of grade {number}.", "slide_id": f"s{number}"}
        rows.append({**row, "question": "Which grade?", "answer": f"Grade {number}.", "dataset": "mine"})
    with (folder / "slides.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    configs.copy(["wsi_llava_stage2.py", "wsi_llava_stage3.py"], folder)
    for stage in (2, 3):
        (folder / f"wsi_small{stage}.py").write_text(SMALL.format(stage=stage))
    return folder


@pytest.fixture(scope="module")
def train(train_here: Callable[..., None], slides: Path) -> Callable[..., Path]:
    def train(stage: int, *options: str) -> Path:
        work = slides / f"wsi{stage}"
        steps = ["train_cfg.max_epochs=None", "train_cfg.max_iters=2", "default_hooks.checkpoint.interval=2"]
        own = ["optim_wrapper.accumulative_counts=1", "custom_hooks.0.evaluation_images=bags/s1.h5", *options]
        words = ["--work-dir", work, "--seed", 3, "--cfg-options", *steps, *own]
        train_here(f"wsi_small{stage}.py", *words)
        return work / "iter_2.pth"

    return train


@pytest.fixture(scope="module")
def stage2(train: Callable[..., Path]) -> Path:
    return train(2)


@pytest.fixture(scope="module")
def stage3(train: Callable[..., Path], stage2: Path) -> Path:
    return train(3, f"model.pretrained_pth={stage2}", "custom_hooks.0.max_new_tokens=8")


def test_stage_2_trains_the_connector_alone(stage2: Path) -> None:
    state = read_checkpoint(stage2)
    assert {name.removeprefix("llm.").partition(".")[0] for name in state} == {"multi_modal_projector"}
    assert sum(value.numel() for value in state.values()) > 1000
    (said,) = stage2.parent.glob("*/vis_data/eval_outputs_iter_2.txt")
    assert "What does this slide show?" in said.read_text()


def test_stage_3_adapts_the_language_model_and_goes_on_with_the_connector(stage2: Path, stage3: Path) -> None:
    before, after = (
        {name.replace("base_model.model.", ""): value for name, value in read_checkpoint(path).items()}
        for path in (stage2, stage3)
    )
    assert before.keys() == {name for name in after if "lora" not in name}
    for name, value in before.items():  # two steps at the low start of the warm-up
        assert (after[name] - value).abs().max() < 1e-4
    adapters = {name: value for name, value in after.items() if "lora_B" in name}
    assert len(adapters) == 14
    assert any(value.any() for value in adapters.values())


def test_the_slide_model_is_exported_with_its_prompt(stage3: Path, slides: Path, tmp_path: Path) -> None:
    from transformers import AutoProcessor

    from pathplugins.commands.ask import ask
    from pathplugins.commands.loading import load_model

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(slides)
        export_checkpoint(stage3, slides / "wsi_small3.py", tmp_path / "hf")
        data = Config.fromfile("wsi_small3.py").train_dataloader.dataset
    template = AutoProcessor.from_pretrained(tmp_path / "hf").tokenizer.chat_template
    assert data.system[:40] in template
    model = load_model(tmp_path / "hf")
    assert isinstance(ask(model, "Which grade?", bag=slides / "bags" / "s2.h5", max_new_tokens=4), str)


def test_options_of_a_wrong_kind_are_refused(train: Callable[..., Any], stage2: Path) -> None:
    del stage2
    with pytest.raises(PathPluginsError, match="mode is 'poem', expected 'report' or 'vqa'"):
        train(2, "train_dataloader.dataset.format_options.mode=poem")
