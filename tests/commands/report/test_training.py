"""Losses as both trainers log them; the lines are copies of what LLaMA-Factory 0.9.5 and XTuner 0.2.0 write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.report.training import read_training
from pathplugins.core.errors import PathPluginsError


def write_lines(path: Path, rows: Sequence[dict[str, Any]], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)) + end)


def llamafactory(step: int, total: int = 40, **more: Any) -> dict[str, Any]:
    own = {"current_steps": step, "total_steps": total, "epoch": step / 10, "percentage": 100 * step / total}
    return {**own, **more, "elapsed_time": "0:00:22", "remaining_time": "0:00:00"}


def xtuner(step: int, loss: float) -> dict[str, Any]:
    return {"base_lr": 2e-8, "lr": 2e-8, "data_time": 0.1, "loss": loss, "time": 0.1, "iter": step, "step": step}


def test_llamafactory(tmp_path: Path) -> None:
    """The last lines have no loss; the file of a killed run ends in the middle of one."""
    rows = [
        llamafactory(10, loss=3.5, lr=1e-5),
        llamafactory(20, loss=2.5, lr=1e-5),
        llamafactory(20, eval_loss=2.75),
        llamafactory(30, loss=float("nan")),
        llamafactory(40, loss=1.5),
        llamafactory(40),
    ]
    write_lines(tmp_path / "trainer_log.jsonl", rows, end='\n{"current_steps": 5')
    found = read_training(tmp_path)
    assert found.losses == {"loss": [(10, 3.5), (20, 2.5), (40, 1.5)], "evaluation loss": [(20, 2.75)]}
    assert (found.name, found.odd) == (str(tmp_path), 1)


def test_steps_that_were_done_again_count_once(tmp_path: Path) -> None:
    """A resumed run appends; a shorter one in the same folder leaves nothing of the longer one before."""
    rows = [llamafactory(step, loss=float(step)) for step in (10, 20, 30)]
    again = [llamafactory(20, loss=200.0)]
    write_lines(tmp_path / "trainer_log.jsonl", [*rows, llamafactory(30, eval_loss=9.0), *again])
    assert read_training(tmp_path).losses == {"loss": [(10, 10.0), (20, 200.0)]}


def test_state_of_the_last_checkpoint(tmp_path: Path) -> None:
    for step in (20, 100):
        history = [{"epoch": 1.0, "grad_norm": 2.0, "learning_rate": 1e-5, "loss": 1.0, "step": s} for s in (10, step)]
        state = {"log_history": [*history, {"eval_loss": 0.5, "step": step}], "global_step": step}
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
    assert read_training(tmp_path).losses == {"loss": [(10, 1.0), (100, 1.0)], "evaluation loss": [(100, 0.5)]}


def test_xtuner(tmp_path: Path) -> None:
    """A folder for each start; the second resumed from step 3."""
    first, second = (tmp_path / name / "vis_data" / "scalars.json" for name in ("20261130_104232", "20261130_110001"))
    write_lines(second, [xtuner(3, 7.0), xtuner(4, 6.0)])
    write_lines(first, [xtuner(1, 10.0), xtuner(2, 9.0), xtuner(3, 8.0)])
    assert read_training(tmp_path).losses == {"loss": [(1, 10.0), (2, 9.0), (3, 7.0), (4, 6.0)]}


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"--training .*nowhere: no such folder; name the output_dir"):
        read_training(tmp_path / "nowhere")
    (tmp_path / "trainer_log.jsonl").write_text("[]\n")
    with pytest.raises(PathPluginsError, match=r"trainer_log.jsonl:1 is no JSON object"):
        read_training(tmp_path)
    write_lines(tmp_path / "trainer_log.jsonl", [llamafactory(40)])
    with pytest.raises(PathPluginsError, match=r"holds no loss: neither trainer_log.jsonl or trainer_state.json of"):
        read_training(tmp_path)
