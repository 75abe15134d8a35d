"""The recipes from the command line on two processes: what they learn, and that a killed run ends as if unbroken."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image
from prepared_python import Prepared

from pathplugins.classify.checkpoints import last_checkpoint
from pathplugins.classify.drawn import draw_pcam200, draw_ptcga200, draw_segpanda200
from pathplugins.classify.runs import load_run
from pathplugins.classify.settings import read_settings
from pathplugins.classify.train import train
from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import read_json

ROOT = Path(__file__).resolve().parents[3]
ORGANS = ("brain", "breast", "kidney", "lung", "ovary", "skin")
IMPORTED = (
    *("torch", "torch.distributed.run", "torch.utils.tensorboard", "transformers.trainer", "timm", "h5py"),
    *("torchmetrics.classification", "lightly.loss", "lightly.models.modules.heads", "segmentation_models_pytorch"),
)
"""What each process of a training imports of other packages: one process does it for all of them."""
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


class Trainings:
    """Runs of ``pathplugins classify train`` in processes of their own."""

    def __init__(self, prepared: Prepared, environment: dict[str, str], folder: Path) -> None:
        self.prepared, self.environment = prepared, environment
        self.config, self.program = folder / "recipe.yaml", folder / "program.py"
        self.config.write_text("report_to: tensorboard\n")
        self.program.write_text("from pathplugins.cli import main\n\nraise SystemExit(main())\n")

    def start(self, options: dict[str, object], *, processes: int = 2) -> subprocess.Popen[str]:
        start = [self.prepared.python]
        if processes > 1:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            torchrun = Path(sys.executable).parent / "torchrun"
            start += [str(torchrun), "--nproc_per_node", str(processes), "--master_port", str(port)]
        return subprocess.Popen(
            [*start, str(self.program), "classify", "train", str(self.config), *words(options)],
            env={**self.environment, **self.prepared.variables(self.environment)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, out: Path, options: dict[str, object]) -> dict[str, object]:
        """Train on two processes and return ``classify.json``."""
        process = self.start({**options, "output_dir": str(out)})
        said, warned = process.communicate(timeout=300)
        assert process.returncode == 0, warned[-3000:]
        assert said.count(f"trained {out}") == 1, said  # one process reports
        return read_json(out / "classify.json")

    def kill(self, out: Path, options: dict[str, object], *, processes: int = 2) -> None:
        """Start a run and kill all of its processes once it has a whole checkpoint and has gone on from it."""
        process = self.start({**options, "output_dir": str(out)}, processes=processes)
        end = time.monotonic() + 240
        while last_checkpoint(out, processes) is None:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.3)
        running = psutil.Process(self.prepared._process.pid).children(recursive=True)
        assert len([each for each in running if each.is_running()]) >= processes
        for each in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        psutil.wait_procs(running, timeout=30)
        process.communicate(timeout=30)
        assert not (out / "classify.json").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    prepared = Prepared(tmp_path_factory.mktemp("prepared"), environment, IMPORTED)
    prepared.wait()
    yield Trainings(prepared, environment, tmp_path_factory.mktemp("c"))
    prepared.close()


def trained_here(config: Path, out: Path, options: dict[str, object]) -> dict[str, object]:
    """Train in this process, which saves the start of another one."""
    torch.set_num_threads(1)
    return train(read_settings(config, words({**options, "output_dir": str(out)})))


def losses(out: Path) -> dict[int, float]:
    history = read_json(out / "trainer_state.json")["log_history"]
    return {step["step"]: step["loss"] for step in history if "loss" in step}


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
        "num_train_epochs": 9,
        "warmup_epochs": 1,
        "learning_rate": 3e-3,
    }


@pytest.fixture(scope="module")
def supervised_run(trained: Trainings, supervised: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("supervised") / "run"
    trained(out, supervised)
    return out


@pytest.fixture(scope="module")
def byol(trained: Trainings, organs: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("byol") / "run"
    trained(out, {**BYOL, **organs})
    return out


def test_a_probe_of_byol_beats_one_of_random_weights(
    trained: Trainings, organs: dict[str, object], byol: Path, tmp_path: Path
) -> None:
    learnt = trained(tmp_path / "p", {**PROBE, **organs, "encoder": str(byol)})
    random = trained(tmp_path / "r", {**PROBE, **organs, "random_weights": 0})
    assert learnt["scores"]["test"]["accuracy"] >= random["scores"]["test"]["accuracy"] + MARGIN
    assert learnt["scores"]["test"]["accuracy"] >= 1.5 / len(ORGANS)  # well above chance


def test_a_killed_run_of_byol_ends_with_the_same_losses(
    trained: Trainings, organs: dict[str, object], byol: Path, tmp_path: Path
) -> None:
    options = {**BYOL, **organs, "save_steps": 30}
    out = tmp_path / "run"
    trained.kill(out, options)
    record = trained(out, options)
    assert losses(out) == losses(byol)
    assert record["scores"] == read_json(byol / "classify.json")["scores"]


def test_a_supervised_run_learns(supervised_run: Path) -> None:
    record = read_json(supervised_run / "classify.json")
    assert record["scores"]["test"]["accuracy"] >= 0.95
    assert record["scores"]["valid"]["accuracy"] >= 0.95
    assert len(losses(supervised_run)) == 72
    assert len(list((supervised_run / "logs").iterdir())) == 1
    run = load_run(supervised_run)
    assert (run.classes, len(run.names_of_training), len(run.slides_of_training)) == (("normal", "tumor"), 128, 16)


def test_finetuning_begins_where_a_run_has_ended(
    trained: Trainings, supervised: dict[str, object], supervised_run: Path, tmp_path: Path
) -> None:
    kept = {key: value for key, value in supervised.items() if key != "random_weights"}
    options = {**kept, "recipe": "finetune", "encoder": str(supervised_run), "num_train_epochs": 2}
    record = trained(tmp_path / "run", options)
    assert record["scores"]["test"]["accuracy"] >= 0.95


def test_a_killed_supervised_run_ends_with_the_same_losses(
    trained: Trainings, supervised: dict[str, object], tmp_path: Path
) -> None:
    options = {**supervised, "max_steps": 24, "save_steps": 12}  # stopped in the second of three epochs
    trained_here(trained.config, tmp_path / "a", options)
    trained.kill(tmp_path / "b", options, processes=1)
    record = trained_here(trained.config, tmp_path / "b", options)
    assert losses(tmp_path / "b") == losses(tmp_path / "a")
    assert len(losses(tmp_path / "a")) == 24
    assert trained_here(trained.config, tmp_path / "b", options) == record  # trained already
    with pytest.raises(PathPluginsError, match=r"learning_rate was 0\.003, is 0\.004"):
        trained_here(trained.config, tmp_path / "b", {**options, "learning_rate": 4e-3})


def test_pictures_that_cannot_be_used_are_one_report_before_any_step(trained: Trainings, tmp_path: Path) -> None:
    root = draw_pcam200(tmp_path / "PCam200", cases=(1, 1, 1), patches=2, side=48)
    broken = [next(root.glob(f"{part}/normal/*/*")) for part in ("train", "test")]
    broken[0].write_bytes(b"nothing")
    Image.new("RGB", (47, 48)).save(broken[1])
    options = {**COMMON, "recipe": "supervised", "data": str(root), "random_weights": 0, "centre_px": 48}
    options["per_device_train_batch_size"] = 4
    with pytest.raises(BadSamplesError) as error:
        trained_here(trained.config, tmp_path / "run", options)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("2 of 12 samples cannot be used")
    assert all(any(str(path) in line for line in lines) for path in broken)
    assert not [*(tmp_path / "run").glob("checkpoint-*")]


def test_masks_are_learnt(trained: Trainings, tmp_path: Path) -> None:
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
    record = trained(tmp_path / "run", options)
    assert record["scores"]["test"]["miou"] >= 0.9
    assert record["head"] == "deeplabv3plus"
    assert load_run(tmp_path / "run").task == "masks"
