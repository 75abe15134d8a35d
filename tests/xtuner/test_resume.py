"""A run that is killed goes on where it was; one that is not the same, or was not asked to, does not (A19)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import CheckpointError

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


OTHER = {
    "data": (
        ["train_dataloader.dataset.max_dataset_length=20"],
        r"the number of samples was 24, is 20; restore these, or start without --resume",
    ),
    "rank of LoRA": (["model.llm_lora.r=8"], r"what is trained was \d+ weights in 84 tensors \(\w+\), is \d+ weights"),
    "layers of LoRA": (["model.llm_lora.target_modules=q_proj,k_proj"], r"what is trained was .* is \d+ weights in 64"),
    "model": (["model.llm.model.projector_config.num_attention_heads=2"], "model.projector_config was {"),
    "stage 1": (["model.pretrained_pth=work_dirs/pallava_smoke_align/iter_4.pth"], "pretrained_pth was None, is work"),
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
    import torch

    saved = torch.load(align.checkpoint(12), weights_only=False)
    del saved["message_hub"]["runtime_info"]["pathplugins_run"]
    torch.save(saved, tmp_path / "theirs.pth")
    with pytest.raises(CheckpointError, match="is not of a run of pathplugins; start without --resume"):
        train_here(ALIGN, "--work-dir", tmp_path, "--resume", tmp_path / "theirs.pth")
    assert list(tmp_path.glob("iter_*")) == []
