"""Parts of another package, found by their entry points, through the real ``xtuner train``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_package import install_example

from pathplugins.commands import configs
from pathplugins.data.bags import BagAttributes, write_bag

pytestmark = pytest.mark.host

CONFIG = """
from mmengine.config import read_base

with read_base():
    from .wsi_llava_stage2 import *

parts.clear()
parts.update(
    llm="tiny-untrained-llama",
    vision_model_name="example_average",
    vision_config=dict(feature_dim=10),
    random_vision_seed=0,
    mm_projector_type="example_scaled",
    vision_feature_select_mode="example_loudest",
    image_seq_length=7,
    patches_per_wsi=20,
)
for holder in (model.llm, train_dataloader.dataset, train_dataloader.collate_fn):
    holder["model"] = parts  # update() would keep parts of the base
train_dataloader.update(num_workers=0)
train_dataloader.dataset.update(
    data_path="example.jsonl", format="example_ask_tell", image_folder="example_bags", max_length=700
)
train_dataloader.dataset["format_options"] = {}
"""


def test_they_train(start: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    target = install_example(tmp_path)
    with (folder / "example.jsonl").open("w") as file:
        for number, patches in enumerate((5, 33, 12, 21)):
            cells = np.stack([np.arange(patches) // 6, np.arange(patches) % 6], 1)
            sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
            about = BagAttributes(
                slide_id=f"e{number}", encoder="own", level0_width=5120, level0_height=10_240, **sizes
            )
            features = np.random.default_rng(number).standard_normal((patches, 10)).astype(np.float32)
            write_bag(folder / "example_bags" / f"e{number}.h5", [features], cells * 512, about)
            file.write(json.dumps({"bag": f"e{number}.h5", "ask": "Which grade?", "tell": f"Grade {number}."}) + "\n")
    configs.copy(["wsi_llava_stage2.py"], folder)
    (folder / "example.py").write_text(CONFIG)
    options = {"train_cfg.max_epochs": None, "train_cfg.max_iters": 2, "default_hooks.checkpoint.interval": 2}
    options |= {"default_hooks.logger.interval": 1, "optim_wrapper.accumulative_counts": 1}
    options |= {"custom_hooks.0.evaluation_images": "example_bags/e1.h5"}
    path = os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = start("example.py", work="work_dirs/example", options=options, env={"PYTHONPATH": path}).end()
    assert run.checkpoint(2)
    assert run.losses().keys() == {1, 2}
