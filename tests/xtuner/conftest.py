"""The real ``xtuner train`` on the shipped smoke configs, in a folder as a user would have it.

XTuner ends with exit code 0 whatever happens, so nothing here looks at it: a run is judged by its log and checkpoints.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prepared_python import XTUNER, Prepared

from pathplugins.data.formats.drawn import QUESTION, read_drawn

BIN = Path(sys.executable).parent
PERIOD_S = 600
"""Far more than any run takes, on a machine that does something else, too."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One ``xtuner train``, ended or still going on."""

    process: subprocess.Popen[str]
    log_file: Path
    work: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def end(self) -> Run:
        """Wait for it."""
        try:
            self.process.wait(timeout=PERIOD_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {PERIOD_S} s\n{self.log[-6000:]}", pytrace=False)
        finally:
            self.kill()
        return self

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def checkpoint(self, iteration: int) -> Path:
        """A checkpoint that must be there."""
        path = self.work / f"iter_{iteration}.pth"
        if not path.exists():
            pytest.fail(f"{path} was not written:\n{self.log[-6000:]}", pytrace=False)
        return path

    def checkpoints(self) -> set[str]:
        return {path.name for path in self.work.glob("iter_*")}

    def losses(self) -> dict[int, float]:
        """Iteration -> loss, as rank 0 saw it, of the run that was started last in this work directory."""
        lines = sorted(self.work.glob("*/vis_data/scalars.json"))[-1].read_text().splitlines()
        return {entry["iter"]: entry["loss"] for entry in map(json.loads, lines) if "loss" in entry}

    def evaluated(self) -> dict[int, dict[str, float]]:
        """Iteration -> losses of held-out samples."""
        lines = sorted(self.work.glob("*/vis_data/scalars.json"))[-1].read_text().splitlines()
        return {entry["step"]: entry for entry in map(json.loads, lines) if "eval_loss" in entry}

    def answers(self, iteration: int) -> str:
        """What the evaluation-chat hook wrote."""
        (path,) = self.work.glob(f"*/vis_data/eval_outputs_iter_{iteration}.txt")
        return path.read_text()


def free_port() -> str:
    """One nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of every process that is started; this process keeps its composed models in the same place."""
    cache = tmp_path_factory.mktemp("cache")
    own = {"PATHPLUGINS_CACHE": str(cache / "pathplugins"), "HF_DATASETS_CACHE": str(cache / "datasets")}
    own |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    own |= {"TOKENIZERS_PARALLELISM": "false", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    launch = ("NNODES", "NODE_RANK", "NPROC_PER_NODE", "ADDR", "PORT", "LOCAL_RANK", "RANK", "WORLD_SIZE")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PATHPLUGINS_") or name in launch]:
            patch.delenv(name)
        for name, value in own.items():
            patch.setenv(name, value)
        yield dict(os.environ)


@pytest.fixture(scope="session")
def prepared(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A Python that has imported what XTuner builds on, but not XTuner."""
    made = Prepared(tmp_path_factory.mktemp("prepared"), environment, XTUNER)
    made.wait()
    yield made
    made.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """Where the user works: the smoke configs with what they read, and images no run trains on."""
    made = tmp_path_factory.mktemp("work")
    names = ("pallava_smoke_align.py", "pallava_smoke_tune.py")
    subprocess.run([BIN / "pathplugins", "configs", "copy", *names], cwd=made, env=environment, check=True)
    read_drawn(made / "held_out", images=4, seed=1)
    return made


@pytest.fixture(scope="session")
def command(folder: Path, environment: dict[str, str], prepared: Prepared) -> Callable[..., str]:
    """Run a command of the environment in the folder to its end; its output."""
    environment = {**environment, **prepared.variables(environment)}

    def command(*words: object) -> str:
        line = [prepared.python, str(BIN / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            line, cwd=folder, env=environment, capture_output=True, text=True, timeout=PERIOD_S, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
        return done.stdout

    return command


@pytest.fixture(scope="session")
def start(
    folder: Path, environment: dict[str, str], prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Run]:
    """Start ``xtuner train CONFIG --work-dir WORK ... --cfg-options key=value ...`` in a process group of its own.

    With ``cold`` every one of its processes is an interpreter that imports everything itself.
    """

    def start(
        config: str,
        *words: object,
        work: str,
        options: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        cold: bool = False,
    ) -> Run:
        # One value per line of the log, not the mean of the last ten.
        pairs = {"log_processor.window_size": 1, **(options or {})}
        line = ["xtuner", "train", config, "--work-dir", work, *map(str, words), "--cfg-options"]
        line += [f"{key}={value}" for key, value in pairs.items()]
        log = tmp_path_factory.mktemp("log") / "log.txt"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*([] if cold else [prepared.python]), str(BIN / "xtuner"), *line[1:]],
                cwd=folder,
                env={**environment, **({} if cold else prepared.variables(environment)), **(env or {})},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Run(process=process, log_file=log, work=folder / work)

    return start


@pytest.fixture(scope="session")
def train_here(folder: Path, environment: dict[str, str]) -> Callable[..., None]:
    """The script that ``xtuner train`` starts, in this process: errors arrive here, and imports are paid for once."""
    del environment

    def train(config: str, *words: object) -> None:
        from xtuner.tools.train import main

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("LOCAL_RANK", "0")
            patch.setattr(sys, "argv", ["train.py", config, *map(str, words)])
            main()

    return train


@pytest.fixture
def port() -> str:
    return free_port()


@pytest.fixture(scope="session")
def asks(folder: Path) -> dict[str, Any]:
    """Options that let the evaluation-chat hook ask about an image nobody trains on."""
    image = folder / "held_out" / "tumour_1_1.png"
    return {"custom_hooks.0.evaluation_images": image, "custom_hooks.0.evaluation_inputs": QUESTION}


@pytest.fixture(scope="session")
def align(start: Callable[..., Run], asks: dict[str, Any]) -> Run:
    """Stage 1 by its smoke config: two epochs of six batches."""
    work = "work_dirs/pallava_smoke_align"
    return start("pallava_smoke_align.py", "--seed", 1024, work=work, options=asks, cold=True).end()


@pytest.fixture(scope="session")
def pairs(align: Run, asks: dict[str, Any]) -> dict[str, Any]:
    """Options of the stage 2 runs that are compared: 12 steps of two samples, in as many processes or one by one."""
    align.checkpoint(12)  # which the config names
    steps = {"train_cfg.max_epochs": None, "train_cfg.max_iters": 12}
    saved = {"default_hooks.checkpoint.interval": 11, "default_hooks.checkpoint.save_begin": 1}  # after 1 and 12
    judged = {"custom_hooks.2.data_path": "pallava_smoke_images", "custom_hooks.2.batch_size": 5}
    return {**asks, **steps, **saved, **judged, "train_dataloader.batch_size": 1}


@pytest.fixture(scope="session")
def tune(start: Callable[..., Run], pairs: dict[str, Any]) -> Run:
    """Stage 2 by its smoke config on stage 1, in one process, which accumulates the two samples of a step."""
    own = {"train_cfg.max_iters": 48, "optim_wrapper.accumulative_counts": 2, "custom_hooks.2.every_n_iters": 24}
    saved = {"interval": 22, "save_begin": 2, "max_keep_ckpts": -1}  # after 2 and 24, and the last
    own |= {f"default_hooks.checkpoint.{key}": value for key, value in saved.items()}
    work = "work_dirs/pallava_smoke_tune"
    return start("pallava_smoke_tune.py", "--seed", 7, work=work, options={**pairs, **own}).end()


@pytest.fixture(scope="session")
def zero2(start: Callable[..., Run], pairs: dict[str, Any]) -> Run:
    """Stage 2 on two processes with ``--deepspeed deepspeed_zero2``."""
    return _deepspeed(start, pairs, "zero2")


@pytest.fixture(scope="session")
def zero3(start: Callable[..., Run], pairs: dict[str, Any]) -> Run:
    """Stage 2 on two processes with ``--deepspeed deepspeed_zero3``."""
    return _deepspeed(start, pairs, "zero3")


def _deepspeed(start: Callable[..., Run], options: dict[str, Any], zero: str) -> Run:
    words = ("--seed", 7, "--deepspeed", f"deepspeed_{zero}")
    env = {"NPROC_PER_NODE": "2", "PORT": free_port()}
    return start("pallava_smoke_tune.py", *words, work=f"work_dirs/{zero}", options=options, env=env).end()


@pytest.fixture
def model(folder: Path, align: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """XTuner's model of stage 2, before it trains, in this process."""
    from mmengine.config import Config
    from xtuner.registry import BUILDER

    del align
    monkeypatch.chdir(folder)
    return BUILDER.build(Config.fromfile("pallava_smoke_tune.py").model)


@pytest.fixture
def samples(folder: Path, align: Run, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All of the training data as one batch, images with other numbers of tiles among them."""
    from mmengine.config import Config
    from xtuner.registry import BUILDER

    from pathplugins.xtuner.collate import collate

    del align
    monkeypatch.chdir(folder)
    cfg = Config.fromfile("pallava_smoke_tune.py").train_dataloader
    dataset = BUILDER.build(cfg.dataset)
    return collate([dataset[i] for i in range(len(dataset))], cfg.collate_fn.model)["data"]
