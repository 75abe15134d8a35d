"""A checkpoint is whole or not there; one that a kill has cut short is found, and the one before it is used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub

from pathplugins.core.errors import CheckpointError
from pathplugins.xtuner.whole_checkpoints import (
    WholeCheckpointHook,
    choose_checkpoint,
    problem_of,
    require_whole,
    whole_before,
)

pytestmark = pytest.mark.host


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Three checkpoints, of which a kill has cut the last one short."""
    for step in (4, 8, 12):
        torch.save({"iter": step, "weights": torch.ones(100)}, tmp_path / f"iter_{step}.pth")
    cut = (tmp_path / "iter_12.pth").read_bytes()
    (tmp_path / "iter_12.pth").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_12.pth"))
    return tmp_path


def runner(work: Path, load_from: Path | None = None, *, deepspeed: bool = False, resume: bool = True) -> Any:
    cfg = {"strategy": {"type": "DeepSpeedStrategy"}} if deepspeed else {}
    return SimpleNamespace(_resume=resume, _load_from=load_from and str(load_from), work_dir=str(work), cfg=cfg)


def zero(folder: Path, *, cut: bool = False) -> Path:
    """As DeepSpeed writes one on two processes."""
    folder.mkdir(exist_ok=True)
    torch.save({}, folder / "mp_rank_00_model_states.pt")
    for rank in (0, 1):
        torch.save({}, folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    if cut:
        (folder / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt").write_bytes(b"PK")
    return folder


def test_what_cannot_be_resumed_is_known(work: Path) -> None:
    assert problem_of(work / "iter_8.pth") is None
    assert problem_of(work / "iter_8.pth", deepspeed=False) is None
    assert "was written without --deepspeed" in str(problem_of(work / "iter_8.pth", deepspeed=True))
    assert "is cut short, at" in str(problem_of(work / "iter_12.pth"))
    assert problem_of(work / "gone.pth") == "does not exist"
    assert problem_of(zero(work / "zero")) is None
    assert "was written with --deepspeed" in str(problem_of(work / "zero", deepspeed=False))
    said = problem_of(zero(work / "cut", cut=True))
    assert said == "is not whole: bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt is cut short, at 2 bytes"
    (work / "empty").mkdir()
    assert "holds no" in str(problem_of(work / "empty"))


def test_the_one_before_is_found_by_its_number(work: Path) -> None:
    torch.save({}, work / "iter_100.pth")
    torch.save({}, work / "epoch_1.pth")
    assert whole_before(work / "iter_12.pth") == work / "iter_8.pth"
    assert whole_before(work / "iter_100.pth") == work / "iter_8.pth", "the one of 12 is cut"
    assert whole_before(work / "iter_4.pth") is None
    assert whole_before(work / "other.pth") is None


def test_a_run_that_resumes_by_itself_takes_the_whole_one(work: Path) -> None:
    there = runner(work)
    choose_checkpoint(there)
    assert there._load_from == str(work / "iter_8.pth")
    (work / "last_checkpoint").write_text(str(work / "iter_4.pth"))
    there = runner(work)
    choose_checkpoint(there)
    assert there._load_from == str(work / "iter_4.pth")
    (work / "last_checkpoint").write_text(f"/moved/from/{work.name}/iter_8.pth")
    there = runner(work)
    choose_checkpoint(there)
    assert there._load_from == str(work / "iter_8.pth"), "the folder has been moved"
    there = runner(work, resume=False)
    choose_checkpoint(there)
    assert there._load_from is None


def test_where_none_is_whole_that_is_said(work: Path) -> None:
    (work / "iter_4.pth").unlink()
    (work / "iter_8.pth").unlink()
    with pytest.raises(CheckpointError, match=r"none before it can be resumed; remove .*last_checkpoint to start anew"):
        choose_checkpoint(runner(work))


def test_a_named_one_that_is_cut_short_is_refused_with_the_one_before(work: Path) -> None:
    with pytest.raises(CheckpointError, match=r"iter_12\.pth is cut short.* is whole: --resume .*/iter_8\.pth"):
        choose_checkpoint(runner(work, work / "iter_12.pth"))
    with pytest.raises(CheckpointError, match="does not exist; name another one"):
        require_whole(work / "iter_2.pth")
    with pytest.raises(CheckpointError, match="without --deepspeed and this run is started with it"):
        choose_checkpoint(runner(work, work / "iter_8.pth", deepspeed=True))


def test_xtuner_says_so_before_it_reads_the_seed(work: Path) -> None:
    from xtuner.tools.utils import get_seed_from_checkpoint

    with pytest.raises(CheckpointError, match=r"--resume .*/iter_8\.pth"):
        get_seed_from_checkpoint(str(work / "iter_12.pth"))
    torch.save({"meta": {"seed": 7}}, work / "good.pth")
    assert get_seed_from_checkpoint(str(work / "good.pth")) == 7


class Saver:
    """What the hook needs of a runner; it dies in the middle of its third checkpoint."""

    def __init__(self, work: Path, *, folders: bool = False) -> None:
        self.work_dir, self.iter, self.epoch, self.saved, self.folders = str(work), 0, 0, 0, folders
        self.max_iters = 100
        self.message_hub = MessageHub.get_instance(f"saver {work}")
        self.logger = SimpleNamespace(info=lambda text: None)

    def save_checkpoint(self, out_dir: str, filename: str, **options: Any) -> None:
        assert options["save_optimizer"]
        assert options["meta"] == {"epoch": 0, "iter": self.iter + 1}
        self.saved += 1
        if self.folders:
            zero(Path(out_dir) / filename)
        else:
            torch.save({"iter": self.iter}, Path(out_dir) / filename)
        if self.saved == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("folders", [False, True], ids=["files", "DeepSpeed"])
@pytest.mark.parametrize("keep", [1, 2])
def test_a_kill_while_it_saves_leaves_the_one_before(tmp_path: Path, keep: int, folders: bool) -> None:
    saver = Saver(tmp_path, folders=folders)
    hook = WholeCheckpointHook(by_epoch=False, interval=2, max_keep_ckpts=keep)
    hook.before_train(saver)
    for saver.iter in (1, 3):
        hook.after_train_iter(saver, saver.iter)
    there = {path.name for path in tmp_path.glob("*.pth")}
    assert there == ({"iter_2.pth", "iter_4.pth"} if keep == 2 else {"iter_4.pth"})
    saver.iter = 5
    with pytest.raises(KeyboardInterrupt):
        hook.after_train_iter(saver, 5)
    assert {path.name for path in tmp_path.glob("iter_*.pth")} == there
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_4.pth")
    for name in there:
        assert problem_of(tmp_path / name) is None
    again = runner(tmp_path, deepspeed=folders)
    choose_checkpoint(again)
    assert again._load_from == str(tmp_path / "iter_4.pth")
    saver.message_hub.update_info("keep_ckpt_ids", [2, 4][-keep:])  # as it is read out of the checkpoint
    hook = WholeCheckpointHook(by_epoch=False, interval=2, max_keep_ckpts=keep)
    hook.before_train(saver)
    hook.after_train_iter(saver, 5)  # the run that went on saves over what was left
    assert (tmp_path / "iter_6.pth").exists()
    assert not list(tmp_path.glob("partial_*"))
    assert len([*tmp_path.glob("iter_*.pth")]) == keep
    shutil.rmtree(tmp_path)


def test_a_full_disk_is_named_and_leaves_the_one_before(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    saver = Saver(tmp_path)
    hook = WholeCheckpointHook(by_epoch=False, interval=2, max_keep_ckpts=1)
    try:
        hook.before_train(saver)
        saver.iter = 1
        hook.after_train_iter(saver, 1)
        (tmp_path / "other").write_bytes(bytes(12_000))
        saver.iter, saver.save_checkpoint = 3, lambda out, name, **_: torch.save(torch.ones(9000), f"{out}/{name}")
        with pytest.raises(CheckpointError, match=r": the disk is full; make room there .* with --resume: iter_4\.pth"):
            hook.after_train_iter(saver, 3)
        assert {path.name for path in tmp_path.iterdir()} == {"iter_2.pth", "last_checkpoint", "other"}
        again = runner(tmp_path)
        choose_checkpoint(again)
        assert again._load_from == str(tmp_path / "iter_2.pth")
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
