"""The recipes from the command line on two processes: what they learn, and that a killed run ends as if unbroken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pathplugins.classify.checkpoints import last_checkpoint
from pathplugins.classify.drawn import draw_pcam200, draw_ptcga200, draw_segpanda200
from pathplugins.classify.runs import load_run
from pathplugins.classify.settings import read_settings
from pathplugins.classify.train import train
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json

ROOT = Path(__file__).resolve().parents[3]
ORGANS = ("brain", "breast", "kidney", "lung", "ovary", "skin")
MARGIN = 0.15
"""By how much BYOL's features must beat those of random weights, in accuracy of the same probe on other slides."""
COMMON = {
    "encoder": "test_resnet",
    "image_size": 48,
    "dataloader_num_workers": 0,
    "disable_tqdm": True,
    "logging_steps": 1,
    "save_steps": 10_000,
    "seed": 0,
}
BYOL = {
    **COMMON,
    "recipe": "byol",
    "random_weights": 0,
    "projection_hidden": 128,
    "projection_width": 32,
    "target_momentum": 0.95,
    "per_device_train_batch_size": 16,
    "num_train_epochs": 12,
    "warmup_epochs": 1,
    "learning_rate": 2e-3,
}
PROBE = {
    **COMMON,
    "recipe": "linear",
    "per_device_train_batch_size": 16,
    "num_train_epochs": 20,
    "learning_rate": 3e-2,
}


def words(options: dict[str, object]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in options.items()]


def command(config: Path, options: dict[str, object], *, processes: int) -> list[str]:
    start = [sys.executable]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        start += ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(port)]
    return [*start, "-m", "pathplugins.cli", "classify", "train", str(config), *words(options)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("c") / "recipe.yaml"
    path.write_text("report_to: tensorboard\n")
    return path


def trained(config: Path, out: Path, options: dict[str, object]) -> dict[str, object]:
    """Train on two processes and return ``classify.json``."""
    done = subprocess.run(
        command(config, {**options, "output_dir": str(out)}, processes=2),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(f"trained {out}") == 1, done.stdout  # one process reports
    return read_json(out / "classify.json")


def trained_here(config: Path, out: Path, options: dict[str, object]) -> dict[str, object]:
    """Train in this process, which saves the start of another one."""
    torch.set_num_threads(1)
    return train(read_settings(config, words({**options, "output_dir": str(out)})))


def losses(out: Path) -> dict[int, float]:
    history = read_json(out / "trainer_state.json")["log_history"]
    return {step["step"]: step["loss"] for step in history if "loss" in step}


def killed(config: Path, out: Path, options: dict[str, object], *, processes: int) -> None:
    """Start a run and kill all of its processes once it has a whole checkpoint and has gone on from it."""
    process = subprocess.Popen(
        command(config, {**options, "output_dir": str(out)}, processes=processes),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 240
        while last_checkpoint(out, processes) is None:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (out / "classify.json").exists()


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """PTCGA200 drawn, and a split by slide: four slides of each organ are trained on, two tested."""
    folder = tmp_path_factory.mktemp("organs")
    root = draw_ptcga200(folder / "PTCGA200", organs=ORGANS, slides=6, patches=8, side=64)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    held_out = [name for name in names if int(name.split("-")[2]) >= 4]
    fold = {"train": sorted({*names} - {*held_out}), "valid": [], "test": held_out}
    value = {"format": "pathplugins split 1", "by": "slide", "seed": 0, "source": "drawn", "folds": [fold]}
    (folder / "split.json").write_text(json.dumps(value))
    return {"data": str(root), "split": str(folder / "split.json")}


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return {
        **COMMON,
        "recipe": "supervised",
        "data": str(draw_pcam200(tmp_path_factory.mktemp("d") / "PCam200", side=64)),
        "random_weights": 0,
        "dropout": 0.2,
        "per_device_train_batch_size": 8,
        "num_train_epochs": 6,
        "warmup_epochs": 1,
        "learning_rate": 3e-3,
    }


@pytest.fixture(scope="module")
def byol(config: Path, organs: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("byol") / "run"
    trained(config, out, {**BYOL, **organs})
    return out


def test_a_probe_of_byol_beats_one_of_random_weights(
    config: Path, organs: dict[str, object], byol: Path, tmp_path: Path
) -> None:
    learnt = trained_here(config, tmp_path / "p", {**PROBE, **organs, "encoder": str(byol)})
    random = trained_here(config, tmp_path / "r", {**PROBE, **organs, "random_weights": 0})
    assert learnt["scores"]["test"]["accuracy"] >= random["scores"]["test"]["accuracy"] + MARGIN
    assert learnt["scores"]["test"]["accuracy"] >= 1.5 / len(ORGANS)  # well above chance


def test_a_killed_run_of_byol_ends_with_the_same_losses(
    config: Path, organs: dict[str, object], byol: Path, tmp_path: Path
) -> None:
    options = {**BYOL, **organs, "save_steps": 30}
    out = tmp_path / "run"
    killed(config, out, options, processes=2)
    record = trained(config, out, options)
    assert losses(out) == losses(byol)
    assert record["scores"] == read_json(byol / "classify.json")["scores"]


def test_a_supervised_run_learns(config: Path, supervised: dict[str, object], tmp_path: Path) -> None:
    out = tmp_path / "run"
    record = trained(config, out, supervised)
    assert record["scores"]["test"]["accuracy"] >= 0.95
    assert record["scores"]["valid"]["accuracy"] >= 0.95
    assert len(losses(out)) == 48
    assert len(list((out / "logs").iterdir())) == 1
    run = load_run(out)
    assert (run.classes, len(run.names_of_training), len(run.slides_of_training)) == (("normal", "tumor"), 128, 16)


def test_a_killed_supervised_run_ends_with_the_same_losses(
    config: Path, supervised: dict[str, object], tmp_path: Path
) -> None:
    options = {**supervised, "max_steps": 24, "save_steps": 12}  # stopped in the second of three epochs
    trained_here(config, tmp_path / "a", options)
    killed(config, tmp_path / "b", options, processes=1)
    record = trained_here(config, tmp_path / "b", options)
    assert losses(tmp_path / "b") == losses(tmp_path / "a")
    assert len(losses(tmp_path / "a")) == 24
    assert trained_here(config, tmp_path / "b", options) == record  # trained already
    with pytest.raises(PathPluginsError, match=r"learning_rate: 0\.003 there, 0\.004 now"):
        trained_here(config, tmp_path / "b", {**options, "learning_rate": 4e-3})


def test_masks_are_learnt(config: Path, tmp_path: Path) -> None:
    options = {
        **COMMON,
        "recipe": "segment",
        "image_size": 64,
        "data": str(draw_segpanda200(tmp_path / "SegPANDA200", cases=(8, 2, 2))),
        "random_weights": 0,
        "per_device_train_batch_size": 4,
        "num_train_epochs": 20,
        "warmup_epochs": 1,
        "learning_rate": 3e-3,
    }
    record = trained(config, tmp_path / "run", options)
    assert record["scores"]["test"]["miou"] >= 0.9
    assert record["head"] == "deeplabv3plus"
    assert load_run(tmp_path / "run").task == "masks"
