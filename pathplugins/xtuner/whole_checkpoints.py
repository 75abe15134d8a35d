"""Checkpoints of XTuner that are whole or not there, and the last whole one of a run that was killed."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from pathplugins.core.disks import refusals_in_words
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import write_text_whole

_PART = "partial_"
"""Before the name of a checkpoint while it is written."""


class WholeCheckpointHook(CheckpointHook):
    """MMEngine's hook, with checkpoints that are renamed once they are whole, and removed once a newer one is.

    MMEngine writes in place, and removes the oldest first: with ``max_keep_ckpts=1`` a run that is killed while it
    saves has no checkpoint left.
    """

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        if self.backend_args is not None or self.file_client_args is not None:  # not on a disk
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        name, folder = self.filename_tmpl.format(step), Path(self.out_dir)
        gone: list[int] = []
        if self.max_keep_ckpts > 0:
            kept = [*(one for one in self.keep_ckpt_ids if one != step), step]
            gone, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info("keep_ckpt_ids", kept)
        self.last_ckpt = str(folder / name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        saved = {"save_optimizer": self.save_optimizer, "save_param_scheduler": self.save_param_scheduler}
        if is_main_process():
            _remove(folder / (_PART + name))  # of a run that was killed
        barrier()
        try:
            with refusals_in_words(folder):
                runner.save_checkpoint(
                    str(folder), _PART + name, meta=meta, by_epoch=self.by_epoch, **saved, **self.args
                )
        except PathPluginsError as error:
            if is_main_process():
                _remove(folder / (_PART + name))
            raise CheckpointError(
                f"{error} with --resume: {name} was not written, and those before it are whole"
            ) from error
        barrier()  # under DeepSpeed every process writes its part
        if is_main_process():
            if (folder / name).is_dir():  # of DeepSpeed, and saved anew
                shutil.rmtree(folder / name)
            (folder / (_PART + name)).replace(folder / name)
            write_text_whole(Path(runner.work_dir) / "last_checkpoint", self.last_ckpt)
            for one in gone:
                _remove(folder / self.filename_tmpl.format(one))
        barrier()


def problem_of(path: Path, *, deepspeed: bool | None = None) -> str | None:
    """Return why a checkpoint cannot be resumed, None for one that can.

    Args:
        path: file, or directory of DeepSpeed.
        deepspeed: whether the run is one of DeepSpeed; not judged when None.
    """
    if not path.exists():
        return "does not exist"
    parts = sorted(path.rglob("*.pt")) if path.is_dir() else [path]
    if path.is_dir() and not any(part.name.endswith("model_states.pt") for part in parts):
        return "holds no *model_states.pt of DeepSpeed"
    for part in parts:
        if not zipfile.is_zipfile(part):  # what a zip file holds stands at its end
            where = "" if part == path else f"not whole: {part.name} is "
            return f"is {where}cut short, at {part.stat().st_size} bytes"
    if deepspeed is not None and deepspeed != path.is_dir():
        made = "with" if path.is_dir() else "without"
        return f"was written {made} --deepspeed and this run is started {'with' if deepspeed else 'without'} it"
    return None


def whole_before(path: Path) -> Path | None:
    """Return the newest whole checkpoint beside ``path`` that is older, by the number in its name; None if none is."""
    pattern = re.compile(r"(iter|epoch)_(\d+)\.pth")
    match = pattern.fullmatch(path.name)
    if match is None or not path.parent.is_dir():
        return None
    found = [(int(m[2]), each) for each in path.parent.iterdir() if (m := pattern.fullmatch(each.name))]
    older = sorted(pair for pair in found if pair[0] < int(match[2]) and pair[1].name.startswith(match[1]))
    return next((each for _, each in reversed(older) if problem_of(each) is None), None)


def require_whole(path: Path, *, deepspeed: bool | None = None) -> None:
    """Raise if the checkpoint that the user named cannot be resumed; the message names the one that can."""
    if problem := problem_of(path, deepspeed=deepspeed):
        before = whole_before(path)
        step = f"the one before it is whole: --resume {before}" if before else "name another one, or start anew"
        raise CheckpointError(f"{path} {problem}; {step}")


def choose_checkpoint(runner: Any) -> None:
    """Let a run that is to resume do so from a checkpoint that is whole, before anything is read.

    Raises:
        CheckpointError: the one that was named is not whole, or no checkpoint of the work directory is.
    """
    if not runner._resume:
        return
    deepspeed = runner.cfg.get("strategy") is not None
    named = runner._resume if isinstance(runner._resume, str) else runner._load_from
    if named is not None:
        require_whole(Path(named), deepspeed=deepspeed)
        return
    found = find_latest_checkpoint(runner.work_dir)
    if found is None:
        return
    last = Path(found)
    if not last.exists() and (Path(runner.work_dir) / last.name).exists():
        last = Path(runner.work_dir) / last.name  # the work directory was moved
    if (problem := problem_of(last, deepspeed=deepspeed)) is None:
        runner._load_from = str(last)
        return
    before = whole_before(last)
    if before is None or problem_of(before, deepspeed=deepspeed):
        raise CheckpointError(
            f"{last} {problem}, and none before it can be resumed; remove {Path(runner.work_dir) / 'last_checkpoint'} "
            "to start anew"
        )
    print_log(f"{last} {problem}: going on from the one before it, {before}", "current")
    runner._load_from = str(before)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
