"""Two processes on one machine: DDP, ZeRO-2 and ZeRO-3 do what one process does."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.host

TORCHRUN = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}


def test_ddp_stage_2_with_batches_without_a_slide(
    run: Callable[..., Any], mixed: dict[str, Any], plain: Any, tmp_path: Path
) -> None:
    """Rank 0 and rank 1 take the two batches that one process accumulates; some of them hold text only."""
    cache = Path(os.environ["PATHPLUGINS_CACHE"])
    before = set(cache.glob("custom_llava-*/"))
    # coords_mpp changes nothing for bags that say it themselves, but asks for a model of its own, by both ranks at once
    keys = {**mixed, "gradient_accumulation_steps": 1, "output_dir": tmp_path / "out", "coords_mpp": 0.5}
    ddp = run("train", "wsi_llava_stage2.yaml", keys, env=TORCHRUN)
    made = {path for path in set(cache.glob("custom_llava-*/")) - before if path.is_dir()}
    assert len(made) == 1, made
    assert list(cache.glob(".custom_llava-*")) == []
    assert ddp.logged("loss") == pytest.approx(plain.logged("loss"), abs=2e-3)
    assert (tmp_path / "out" / "mm_projector.bin").is_file()


@pytest.fixture(scope="module")
def short(toy: Any, quick: dict[str, Any], stage2: Any) -> dict[str, Any]:
    """Four steps of stage 3, with a token selector that has weights."""
    own = {"dataset": "train_vqa", "eval_dataset": "few_vqa", "projector_path": stage2.out / "mm_projector.bin"}
    own |= {"vision_feature_select_mode": "prompt_topk"}
    pace = {"max_steps": 4, "logging_steps": 1, "eval_steps": 4, "save_steps": 4, "lora_dropout": 0.0}
    return {**quick, **own, **pace, "per_device_train_batch_size": 4, "learning_rate": 2e-3}


@pytest.fixture(scope="module")
def alone(run: Callable[..., Any], short: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("alone")
    return run("train", "wsi_llava_stage3.yaml", {**short, "gradient_accumulation_steps": 2, "output_dir": out})


@pytest.mark.parametrize("zero", ["zero2", "zero3"])
def test_deepspeed_stage_3(
    run: Callable[..., Any], short: dict[str, Any], alone: Any, zero: str, configs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("deepspeed")
    own = {"gradient_accumulation_steps": 1, "output_dir": tmp_path, "deepspeed": configs / f"deepspeed/{zero}.json"}
    shared = run("train", "wsi_llava_stage3.yaml", {**short, **own}, env=TORCHRUN)
    losses, wanted = shared.logged("loss"), alone.logged("loss")
    assert set(losses) == {1, 2, 3, 4}
    assert all(math.isfinite(loss) and loss > 0 for loss in losses.values())
    assert losses == pytest.approx(wanted, rel=0.05, abs=5e-3)
    for key in ("eval_loss", "eval_sanity_check_loss"):
        assert shared.logged(key)[4] == pytest.approx(alone.logged(key)[4], rel=0.1, abs=1e-2)
    adapter, reference = (load_file(out / "adapter_model.safetensors") for out in (tmp_path, alone.out))
    assert {key: tuple(value.shape) for key, value in adapter.items()} == {
        key: tuple(value.shape) for key, value in reference.items()
    }
    for layer in ("multi_modal_projector.linear_2", "token_selector.text_query_projection"):
        (trained,) = [value for key, value in adapter.items() if f"{layer}.lora_B" in key]
        assert trained.abs().max() > 0, layer
