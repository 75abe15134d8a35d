"""Parts of another package, found by their entry points, through the real command on two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_package import install_example

from pathplugins.models.towers import TOWERS

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which Python finds the package."""
    target = install_example(tmp_path_factory.mktemp("example"))
    return {"PYTHONPATH": os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.fixture(scope="module")
def keys(toy: Any, quick: dict[str, Any]) -> dict[str, Any]:
    """Stage 2 with nothing but parts of the example."""
    lines = [{"bag": f"bags/few{i}.h5", "ask": "Which tissue?", "tell": "Mostly stroma tissue."} for i in range(8)]
    (toy.data / "example.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    toy.info("example", {"file_name": "example.jsonl", "formatting": "example_ask_tell"})
    own = {
        "vision_tower": "null",
        "vision_model_name": "example_average",
        "vision_config": '{"feature_dim":16}',
        "random_vision_seed": 0,
        "mm_projector_type": "example_scaled",
        "projector_dropout": "null",
        "gamma_min": "null",
        "gamma_max": "null",
        "vision_feature_select_mode": "example_loudest",
        "dataset": "example",
        "eval_dataset": "null",
    }
    pace = {"max_steps": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "logging_steps": 1}
    return {**quick, **own, **pace, "eval_strategy": '"no"', "load_best_model_at_end": False}


def test_they_train_on_two_processes(
    run: Callable[..., Any], toy: Any, keys: dict[str, Any], installed: dict[str, str]
) -> None:
    env = {**installed, "FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}
    done = run("train", "wsi_llava_stage2.yaml", {**keys, "output_dir": toy.root / "example"}, env=env)
    assert done.state()["global_step"] == 2
    assert {1, 2} == done.logged("loss").keys()
    projector = toy.root / "example" / "mm_projector.bin"
    assert projector.is_file()


def test_without_the_package_the_name_is_unknown(run: Callable[..., Any], toy: Any, keys: dict[str, Any]) -> None:
    own = {"dataset": "few_report", "output_dir": toy.root / "example_absent"}
    done = run("train", "wsi_llava_stage2.yaml", {**keys, **own}, rc=1)
    assert f"unknown vision tower 'example_average'. Known: {', '.join(TOWERS)}" in done.log


def test_help_lists_them(installed: dict[str, str]) -> None:
    command = Path(sys.executable).with_name("pathplugins")
    run = subprocess.run(
        [command, "compose", "--help"], capture_output=True, text=True, check=False, env={**os.environ, **installed}
    )
    words = " ".join(run.stdout.split())
    for name in ("example_average", "example_scaled", "example_loudest"):
        assert name in words, run.stderr
