"""Bags of another patch encoder of the same width through the real command: refused before a model is loaded."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def wide(toy: Any, quick: dict[str, Any]) -> dict[str, Any]:
    """A tower as wide as the released one, with weights, and bags of gigapath, of UNI 2 and of nobody knows whom."""
    import torch

    from pathplugins.data.bags import BagAttributes, write_bag
    from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

    torch.manual_seed(0)
    shape = {"embed_dim": 32, "depth": 1, "num_heads": 4, "segment_lengths": [16, 32], "dilated_ratios": [1, 2]}
    torch.save(LongNetViT(LongNetConfig(**shape)).state_dict(), toy.root / "wide.pth")
    rows = []
    for name, encoder in {"own": "prov-gigapath", "own2": "gigapath", "uni": "UNI_v2", "unnamed": "none"}.items():
        sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
        about = BagAttributes(slide_id=name, encoder=encoder, level0_width=7680, level0_height=5120, **sizes)
        path = toy.data / "bags" / f"wide_{name}.h5"
        features = np.random.default_rng(len(rows)).standard_normal((11, 1536)).astype(np.float32)
        write_bag(path, [features], np.stack([np.arange(11) // 7, np.arange(11) % 7], 1) * 512, about)
        rows.append(toy.row(path, 0))
    unname(toy.data / "bags" / "wide_unnamed.h5")
    toy.table("wide", rows)
    pace = {"max_steps": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "logging_steps": 1}
    own = {"vision_tower": toy.root / "wide.pth", "dataset": "wide_report", "eval_dataset": "null"}
    off = {"eval_strategy": '"no"', "load_best_model_at_end": False}
    return {**quick, **pace, **own, **off}


def unname(bag: Path) -> None:
    import h5py

    with h5py.File(bag, "r+") as file:
        del file.attrs["encoder"]


def test_another_encoder_is_in_the_report(run: Callable[..., Any], toy: Any, wide: dict[str, Any]) -> None:
    done = run("train", "wsi_llava_stage2.yaml", {**wide, "output_dir": toy.root / "wide_refused"}, rc=1)
    assert "1 of 4 samples cannot be used: 1 x another encoder" in done.log
    assert "wide_uni.h5: features are of the encoder 'UNI_v2', but the vision tower was trained on those of" in done.log
    assert "set allow_other_encoder: true" in done.log
    assert "Loading checkpoint" not in done.log
    assert done.log.count("no patch encoder is named") == 1
    (bad,) = map(json.loads, (done.out / "bad_samples.jsonl").read_text().splitlines())
    assert (bad["row"], bad["reason"]) == (4, "another encoder")
    with (toy.data / "wide.csv").open() as file:
        assert len([*csv.reader(file)]) == 5


def test_an_option_takes_it_all_the_same(run: Callable[..., Any], toy: Any, wide: dict[str, Any]) -> None:
    keys = {**wide, "allow_other_encoder": True, "output_dir": toy.root / "wide_allowed"}
    done = run("train", "wsi_llava_stage2.yaml", keys)
    assert done.state()["global_step"] == 2
