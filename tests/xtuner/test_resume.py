"""A run that is killed goes on where it was; one that is not the same, or was not asked to, does not (A19)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import DefaultSampler
from mmengine.registry import PARAM_SCHEDULERS
from torch.utils.data import Dataset

from pathplugins.commands.report.training import read_training
from pathplugins.core.errors import CheckpointError
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.resume import Remaining, reschedule
from pathplugins.xtuner.samplers import EpochSampler
from pathplugins.xtuner.schedule import Schedule, WarmUpLR

pytestmark = pytest.mark.host

ALIGN = "pallava_smoke_align.py"


@pytest.fixture(scope="module")
def killed(start: Callable[..., Any], align: Any, asks: dict[str, Any]) -> Any:
    """The run of `align`, in a work directory in which another one has ended, killed after its own first checkpoint."""
    # Asked at every step it is slow enough to be hit; data workers change nothing.
    options = {**asks, "custom_hooks.0.every_n_iters": 1, "train_dataloader.num_workers": 2}
    align.checkpoint(12)
    work = align.work.with_name("killed")
    work.mkdir()
    shutil.copy(align.work / "iter_12.pth", work / "iter_11.pth")
    (work / "last_checkpoint").write_text(str(work / "iter_11.pth"))
    run = start(ALIGN, "--seed", 1024, work="work_dirs/killed", options=options)
    deadline = time.monotonic() + 500
    while run.process.poll() is None and time.monotonic() < deadline and "[ 5/12]" not in run.log:
        time.sleep(0.02)
    alive = run.process.poll() is None
    run.kill()
    assert alive, f"ended before it could be killed:\n{run.log[-3000:]}"
    run.checkpoint(4)
    assert "iter_12.pth" not in run.checkpoints()
    return run


def test_a_second_run_in_the_same_place_starts_anew(align: Any, killed: Any) -> None:
    losses, wanted = killed.losses(), align.losses()
    assert set(losses) >= {1, 2, 3, 4}  # the kill may come between a step's line in the log and its line here
    assert losses == pytest.approx({step: wanted[step] for step in losses}, abs=1e-4)


def test_resume_goes_on_as_if_nothing_had_happened(
    start: Callable[..., Any], align: Any, killed: Any, asks: dict[str, Any], folder: Path
) -> None:
    """By the config that an earlier release left in its work directory."""
    checkpoint = killed.checkpoint(4)
    shutil.copy(Path(__file__).parent / "dumped" / "pallava_smoke_align.txt", folder / "dumped_align.py")
    resumed = start("dumped_align.py", "--resume", checkpoint, work="work_dirs/killed", options=asks).end()
    assert "resumed from epoch: 0, iter: 4" in resumed.log or "resumed epoch: 0, iter: 4" in resumed.log
    after, wanted = resumed.losses(), align.losses()
    assert set(after) == set(range(5, 13))
    assert after == pytest.approx({step: wanted[step] for step in after}, abs=1e-4)
    assert len({round(loss, 3) for loss in wanted.values()}) == 12, "the losses must differ for this to say anything"
    assert resumed.answers(12) == align.answers(12)
    resumed.checkpoint(12)
    drawn = dict(read_training(resumed.work).losses["loss"])  # of both starts; the report draws it
    assert drawn == pytest.approx(wanted, abs=1e-4)


def test_two_processes_go_on_with_the_same_samples(
    start: Callable[..., Any], align: Any, asks: dict[str, Any], port: str
) -> None:
    """Each takes two of the four samples of an iteration, whose losses and lengths are nearly alike."""
    options = {**asks, "train_dataloader.batch_size": 2}
    words = ("--seed", 1024, "--resume", align.checkpoint(8))
    env = {"NPROC_PER_NODE": "2", "PORT": port}
    resumed = start(ALIGN, *words, work="work_dirs/two_go_on", options=options, env=env).end()
    assert set(resumed.losses()) == {9, 10, 11, 12}
    before, alone, shared = (
        read_checkpoint(path) for path in (align.checkpoint(8), align.checkpoint(12), resumed.checkpoint(12))
    )
    far = sum((value - alone[name]).square().sum() for name, value in shared.items()).sqrt()
    way = sum((value - before[name]).square().sum() for name, value in alone.items()).sqrt()
    assert far < 0.1 * way, "of the way that four steps go"


OTHER = {
    "data": (
        ["train_dataloader.dataset.max_dataset_length=20"],
        r"the number of samples was 24, is 20; .*; restore these, or start without --resume",
    ),
    "rank of LoRA": (["model.llm_lora.r=8"], r"what is trained was \d+ weights in 84 tensors \(\w+\), is \d+ weights"),
    "layers of LoRA": (["model.llm_lora.target_modules=q_proj,k_proj"], r"what is trained was .* is \d+ weights in 64"),
    "model": (
        [
            f"{place}.model.projector_config.num_attention_heads=2"
            for place in ("model.llm", "train_dataloader.dataset", "train_dataloader.collate_fn")
        ],
        "model.projector_config.num_attention_heads was 4, is 2",
    ),
    "stage 1": (
        ["model.pretrained_pth=work_dirs/pallava_smoke_align/iter_4.pth"],
        "pretrained_pth was not set, is",
    ),
}


@pytest.mark.parametrize("other", OTHER)
def test_another_run_is_not_resumed(
    train_here: Callable[..., None], align: Any, folder: Path, other: str, tmp_path: Path
) -> None:
    options, message = OTHER[other]
    checkpoint = align.checkpoint(12)
    with pytest.raises(CheckpointError, match=message):
        train_here(
            ALIGN, "--work-dir", tmp_path, "--resume", checkpoint, "--cfg-options", "train_cfg.max_epochs=3", *options
        )
    assert list(tmp_path.glob("iter_*")) == []


def test_a_checkpoint_that_is_not_ours_is_not_resumed(
    train_here: Callable[..., None], align: Any, tmp_path: Path
) -> None:
    saved = torch.load(align.checkpoint(12), weights_only=False)
    del saved["message_hub"]["runtime_info"]["pathplugins_run"]
    torch.save(saved, tmp_path / "theirs.pth")
    with pytest.raises(CheckpointError, match="is not of a run of pathplugins; start without --resume"):
        train_here(ALIGN, "--work-dir", tmp_path, "--resume", tmp_path / "theirs.pth")
    assert list(tmp_path.glob("iter_*")) == []


# A run with a schedule and accumulated steps, in this process.

SCHEDULED = """
from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR

from pathplugins.xtuner.schedule import WarmUpLR

with read_base():
    from .pallava_smoke_align import *

optim_wrapper.update(accumulative_counts=4)
model.update(lr_mult=dict(multi_modal_projector=0.5))
train_cfg.update(max_epochs=2)
shared = dict(by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(type=WarmUpLR, start_factor=1e-5, begin=0, end=0.5, **shared),
    dict(type=CosineAnnealingLR, eta_min=0.0, begin=0.5, end=2, **shared),
]
default_hooks.checkpoint.update(interval=5, max_keep_ckpts=3)
custom_hooks[0].update(evaluation_inputs=[])
"""


def scalars(work: Path, name: str) -> dict[int, float]:
    lines = sorted(work.glob("*/vis_data/scalars.json"))[-1].read_text().splitlines()
    return {entry["iter"]: entry[name] for entry in map(json.loads, lines)}


@pytest.fixture(scope="module")
def scheduled(train_here: Callable[..., None], align: Any, folder: Path) -> Path:
    """Twelve iterations, a step every four, a checkpoint every five."""
    del align
    (folder / "scheduled.py").write_text(SCHEDULED)
    work = folder / "work_dirs" / "scheduled"
    train_here("scheduled.py", "--work-dir", work, "--seed", 3, "--cfg-options", "log_processor.window_size=1")
    assert {path.name for path in work.glob("iter_*")} == {"iter_5.pth", "iter_10.pth", "iter_12.pth"}
    return work


def test_resume_true_goes_on_in_the_order_of_the_run_from_its_last_step(
    train_here: Callable[..., None], scheduled: Path, tmp_path: Path
) -> None:
    """By the checkpoint before the one that a kill cut short, which lies between two steps of the optimizer."""
    work = tmp_path / "again"
    work.mkdir()
    shutil.copy(scheduled / "iter_10.pth", work)
    (work / "iter_12.pth").write_bytes((scheduled / "iter_12.pth").read_bytes()[:5000])
    (work / "last_checkpoint").write_text(str(work / "iter_12.pth"))
    words = ("--cfg-options", "log_processor.window_size=1", "resume=True")  # and no seed: one is drawn
    train_here("scheduled.py", "--work-dir", work, *words)
    for name in ("loss", "lr"):
        got, wanted = scalars(work, name), scalars(scheduled, name)
        assert sorted(got) == [9, 10, 11, 12]
        assert got == pytest.approx({step: wanted[step] for step in got}, abs=1e-5), name
    log = next(work.glob("*/*.log")).read_text()
    assert f"iter_12.pth is cut short, at 5000 bytes: going on from the one before it, {work / 'iter_10.pth'}" in log
    assert "going on from iteration 8, which gives the same weights" in log
    assert (work / "iter_12.pth").stat().st_size > 5000


OTHER_SETTINGS = {
    "batch": (["train_dataloader.batch_size=2"], r"samples an iteration \(batch_size x processes\) was 4, is 2"),
    "rate": (["optim_wrapper.optimizer.lr=1e-3"], "optimizer.lr was 0.002, is 0.001"),
    "decay": (["optim_wrapper.optimizer.weight_decay=0.1"], "optimizer.weight_decay was 0, is 0.1"),
    "accumulation": (["optim_wrapper.accumulative_counts=2"], r"\(accumulative_counts\) was 4, is 2"),
    "clipping": (["optim_wrapper.clip_grad.max_norm=5"], "clip_grad.max_norm was 1, is 5"),
    "precision": (["model.llm.torch_dtype=bfloat16"], "precision.torch_dtype was float32, is bfloat16"),
    "order": (["train_dataloader.sampler.seed=5"], "seed of the order was 3, is 5"),
    "words": (["train_dataloader.dataset.system=Other."], "the samples was"),
    "length": (["train_dataloader.dataset.max_length=400"], "max_length was .512., is .400."),
}


@pytest.mark.parametrize("other", OTHER_SETTINGS)
def test_a_run_of_other_settings_is_not_resumed(
    train_here: Callable[..., None], scheduled: Path, other: str, tmp_path: Path
) -> None:
    options, message = OTHER_SETTINGS[other]
    with pytest.raises(CheckpointError, match=f"this is not the run that is resumed: .*{message}"):
        train_here(
            *("scheduled.py", "--work-dir", tmp_path, "--resume", scheduled / "iter_5.pth"),
            *("--cfg-options", *options),
        )


class Rows(Dataset):
    """Numbers that note when they are read, and in which epoch."""

    def __init__(self, count: int) -> None:
        self.count, self.epoch, self.read = count, torch.zeros((), dtype=torch.int64), []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, int]:
        self.read.append(index)
        return index, int(self.epoch)


def loader(kind: type, count: int = 11, seed: int = 4, **options: Any) -> Any:
    from mmengine.runner import Runner

    sampler = {"type": kind, **options}
    return Runner.build_dataloader(
        {"dataset": Rows(count), "batch_size": 2, "num_workers": 0, "sampler": sampler}, seed
    )


@pytest.mark.parametrize("kind", [EpochSampler, DefaultSampler])
@pytest.mark.parametrize("done", [0, 1, 5, 6, 7, 13, 18])
def test_what_remains_is_what_would_have_come(kind: type, done: int) -> None:
    whole = Remaining(loader(kind), 0)
    wanted = [next(whole) for _ in range(24)]
    assert len({str(batch) for batch in wanted}) > 12
    there = loader(kind)
    rest = Remaining(there, done)
    assert [next(rest) for _ in range(done)] == [None] * done
    assert there.dataset.read == []
    assert str([next(rest) for _ in range(24 - done)]) == str(wanted[done:])
    assert len(there.dataset.read) == sum(len(batch[0]) for batch in wanted[done:])


def test_a_longer_run_goes_on_by_its_own_schedule() -> None:
    from mmengine.optim import CosineAnnealingLR, OptimWrapper

    def settings(end: int) -> list[dict[str, Any]]:
        shared = {"by_epoch": True, "convert_to_iter_based": True}
        return [
            {"type": WarmUpLR, "start_factor": 1e-5, "end": 0.5, **shared},
            {"type": CosineAnnealingLR, "eta_min": 0.0, "begin": 0.5, "end": end, **shared},
        ]

    def wrapped() -> OptimWrapper:
        groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (1e-2, 5e-3)]
        return OptimWrapper(torch.optim.AdamW(groups, lr=1e-2))

    def plan(end: int) -> Schedule:
        return Schedule(settings(end), wrapped().param_groups, epoch_length=10, max_iters=10 * end)

    wrapper, short, long = wrapped(), plan(3), plan(8)
    built = [
        PARAM_SCHEDULERS.build(one, default_args={"optimizer": wrapper, "epoch_length": 10}) for one in settings(8)
    ]
    for _ in range(12):
        short.step()
        long.step()
    for scheduler, saved in zip(built, short.schedulers, strict=True):  # as MMEngine resumes
        scheduler.load_state_dict(saved.state_dict())
    for group, saved in zip(wrapper.param_groups, short.groups, strict=True):
        group["lr"] = saved["lr"]
    loop = SimpleNamespace(dataloader=range(10), max_iters=80)
    cfg = ConfigDict(param_scheduler=settings(8))
    runner = SimpleNamespace(cfg=cfg, param_schedulers=built, train_loop=loop, optim_wrapper=wrapper)
    reschedule(runner, 12)
    for _ in range(68):
        assert [group["lr"] for group in wrapper.param_groups] == [group["lr"] for group in long.groups]
        for scheduler in built:
            scheduler.step()
        long.step()
    assert wrapper.param_groups[0]["lr"] == pytest.approx(0, abs=1e-5)
