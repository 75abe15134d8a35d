"""A run that is killed goes on where it was; what it draws depends on neither the kill nor the workers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.report.training import read_training

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def killed(
    start: Callable[..., Any], stop: Callable[..., Any], mixed: dict[str, Any], configs: Path, tmp_path_factory: Any
) -> tuple[dict[str, Any], dict[int, float]]:
    """The keys of a run that was killed after its first checkpoint, and the losses it had logged by then.

    With data workers that live on from epoch to epoch, unlike the run it is compared with.
    """
    folder = tmp_path_factory.mktemp("killed")
    keys = {**mixed, "output_dir": folder / "out", "dataloader_num_workers": 2, "dataloader_persistent_workers": True}
    typed = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]
    log, done = folder / "log.txt", folder / "out" / "trainer_log.jsonl"
    process = start("llamafactory-cli", "train", str(configs / "wsi_llava_stage2.yaml"), *typed, log=log)
    deadline = time.monotonic() + 500
    while process.poll() is None and time.monotonic() < deadline:
        # LLaMA-Factory logs step 21 once checkpoint-20 is complete.
        if done.is_file() and '"current_steps": 22,' in done.read_text():
            break
        time.sleep(0.02)
    assert process.poll() is None, f"ended before it could be killed:\n{log.read_text()[-3000:]}"
    stop(process)
    entries = [json.loads(line) for line in done.read_text().splitlines() if line.endswith("}")]
    assert not (folder / "out" / "train_results.json").exists()
    return keys, {entry["current_steps"]: entry["loss"] for entry in entries if "loss" in entry}


def test_workers_do_not_change_what_is_drawn(plain: Any, killed: tuple[dict[str, Any], dict[int, float]]) -> None:
    seen, wanted = killed[1], plain.logged("loss")
    assert len(seen) >= 20
    assert seen == pytest.approx({step: wanted[step] for step in seen}, abs=1e-4)


def test_same_command_resumes_and_the_losses_continue(
    run: Callable[..., Any], plain: Any, killed: tuple[dict[str, Any], dict[int, float]]
) -> None:
    resumed = run("train", "wsi_llava_stage2.yaml", killed[0])
    assert "checkpoint-20" in resumed.log
    assert resumed.state()["global_step"] == plain.state()["global_step"] == 48
    after, wanted = resumed.logged("loss"), plain.logged("loss")
    assert set(after) == set(wanted) == set(range(1, 49))
    assert after == pytest.approx(wanted, abs=1e-4)
    assert len({round(loss, 6) for loss in wanted.values()}) > 40, "the losses must differ for this to say anything"
    drawn = read_training(resumed.out)  # from the log that both processes wrote; the report draws it
    assert (dict(drawn.losses["loss"]), drawn.odd) == (pytest.approx(wanted, abs=1e-4), 0)


def test_more_processes_go_on_with_the_same_samples(
    run: Callable[..., Any], plain: Any, mixed: dict[str, Any], tmp_path: Path
) -> None:
    """Two processes take the two batches of a step that one has accumulated, in the middle of an epoch."""
    shutil.copytree(plain.out / "checkpoint-40", tmp_path / "out" / "checkpoint-40")
    keys = {**mixed, "gradient_accumulation_steps": 1, "output_dir": tmp_path / "out"}
    resumed = run("train", "wsi_llava_stage2.yaml", keys, env={"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"})
    assert "checkpoint-40" in resumed.log
    after, wanted = resumed.logged("loss"), plain.logged("loss")
    assert {step: loss for step, loss in after.items() if step > 40} == pytest.approx(
        {step: loss for step, loss in wanted.items() if step > 40}, abs=2e-3
    )
    assert max(after) == 48
