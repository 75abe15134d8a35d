"""Checkpoints that were cut short, and those of another run."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.core.resume_record import FILE
from pathplugins.llamafactory.checkpoints import damage, resume_point

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def undisturbed(train_here: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Keys of a run of four steps with a checkpoint after each."""
    keys = {"stage": "sft", "dataset": "answered", "max_steps": 4, "save_strategy": "steps", "save_steps": 1}
    keys["output_dir"] = str(tmp_path_factory.mktemp("undisturbed") / "out")
    train_here(**keys)
    return keys


@pytest.fixture
def killed(undisturbed: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The same run as it lies there after a kill behind its third checkpoint."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed["output_dir"], out)
    shutil.rmtree(out / "checkpoint-4")
    for path in {*out.glob("*.json"), *out.glob("adapter*")}:
        path.unlink()
    return {**undisturbed, "output_dir": str(out)}


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


PARTS = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


@pytest.mark.parametrize("recorded", [True, False], ids=["with our record", "without"])
@pytest.mark.parametrize("name", PARTS)
def test_half_a_file_is_found_by_its_name(killed: dict[str, Any], name: str, recorded: bool) -> None:
    folder = Path(killed["output_dir"]) / "checkpoint-3"
    if not recorded:
        (folder / FILE).unlink()
    assert damage(folder) is None
    cut(folder / name)
    assert name in damage(folder)


@pytest.mark.parametrize("recorded", [True, False], ids=["with our record", "without"])
@pytest.mark.parametrize(
    ("name", "said"),
    [("optimizer.pt", "optimizer"), ("trainer_state.json", "trainer_state"), ("adapter_model.safetensors", "")],
)
def test_a_file_that_is_missing_is_named(killed: dict[str, Any], name: str, said: str, recorded: bool) -> None:
    folder = Path(killed["output_dir"]) / "checkpoint-3"
    (folder / name).unlink()
    if not recorded:
        (folder / FILE).unlink()
    assert said in damage(folder)


def test_the_run_goes_on_from_the_one_before_and_ends_the_same(
    train_here: Callable[..., Any], undisturbed: dict[str, Any], killed: dict[str, Any], caplog: Any
) -> None:
    out = Path(killed["output_dir"])
    cut(out / "checkpoint-3" / "adapter_model.safetensors")
    with caplog.at_level(logging.WARNING):
        resumed = train_here(**killed)
    assert "checkpoint-3 was cut short (adapter_model.safetensors has" in caplog.text
    assert f"the run goes on from {out / 'checkpoint-2'}" in caplog.text
    whole = json.loads((Path(undisturbed["output_dir"]) / "trainer_state.json").read_text())["log_history"]
    losses = [[entry["loss"] for entry in log if "loss" in entry] for log in (resumed, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_without_a_whole_one_the_run_begins_anew_in_its_own_folder_only(killed: dict[str, Any], tmp_path: Path) -> None:
    out = Path(killed["output_dir"])
    for step in (1, 2, 3):
        cut(out / f"checkpoint-{step}" / "optimizer.pt")
    asked = str(out / "checkpoint-3")
    assert resume_point(asked, str(out)) is None
    with pytest.raises(CheckpointError, match=r"checkpoint-3 was cut short .* no checkpoint before it is whole"):
        resume_point(asked, str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="is no folder"):
        resume_point(str(out / "checkpoint-9"), str(out))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"per_device_train_batch_size": 1}, "samples of a step was 2, is 1"),
        ({"gradient_accumulation_steps": 2}, "samples of a step was 2, is 4"),
        ({"learning_rate": 1e-3}, "learning_rate was 0.02, is 0.001"),
        ({"seed": 7}, "seed was 42, is 7"),
        ({"lora_alpha": 4}, "lora_alpha was 16, is 4"),
        ({"max_samples": 5}, "content and order of the training samples was .*; training samples was 6, is 5"),
        ({"projector_seed": 1}, "the model's weights and options was"),
        ({"max_steps": 2}, "has been trained 3 steps, and this run ends after 2; raise max_steps"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_run_is_told_what_differs(
    train_here: Callable[..., Any], killed: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        train_here(**{**killed, **changes})


def test_the_same_step_in_other_portions_is_the_same_run(
    train_here: Callable[..., Any], killed: dict[str, Any], undisturbed: dict[str, Any]
) -> None:
    resumed = train_here(**{**killed, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2})
    state = json.loads((Path(undisturbed["output_dir"]) / "trainer_state.json").read_text())
    losses, wanted = (
        {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
        for history in (resumed, state["log_history"])
    )
    assert losses == pytest.approx(wanted, abs=1e-4), "of two samples each, by whatever batch the checkpoint was made"


def test_weights_alone_are_nothing_to_go_on_from(
    train_here: Callable[..., Any], killed: dict[str, Any], tmp_path: Path
) -> None:
    keys = {**killed, "output_dir": str(tmp_path / "bare"), "max_steps": 1, "save_only_model": True}
    train_here(**keys)
    with pytest.raises(CheckpointError, match=r"checkpoint-1 holds weights only .*overwrite_output_dir"):
        train_here(**{**keys, "max_steps": 2})
