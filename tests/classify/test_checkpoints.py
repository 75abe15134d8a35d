"""An output directory is new, interrupted, or of other settings; half a checkpoint is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pathplugins.classify.checkpoints import is_finished, last_checkpoint, prepare_output, read_as_cpu
from pathplugins.core.errors import PathPluginsError


def checkpoint(out: Path, step: int, processes: int = 1) -> Path:
    folder = out / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    randoms = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    for name in ("optimizer.pt", "scheduler.pt", *randoms):
        torch.save({"a": torch.zeros(300)}, folder / name)
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "trainer_state.json").write_text("{}")
    return folder


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path, 1) is None
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 10)
    assert last_checkpoint(tmp_path, 1) == newest
    whole = (newest / "optimizer.pt").read_bytes()
    (newest / "optimizer.pt").write_bytes(whole[: len(whole) // 2])
    assert last_checkpoint(tmp_path, 1) == tmp_path / "checkpoint-9"


@pytest.mark.parametrize("name", ["trainer_state.json", "rng_state_1.pth", "model.safetensors"])
def test_a_checkpoint_without_one_of_its_files_is_none(tmp_path: Path, name: str) -> None:
    (checkpoint(tmp_path, 3, processes=2) / name).unlink()
    assert last_checkpoint(tmp_path, 2) is None


def test_other_settings_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = {"learning_rate": 1e-4, "augment": (1, 2), "logging_steps": 10}
    prepare_output(out, before)
    prepare_output(out, {**before, "logging_steps": 1})
    with pytest.raises(PathPluginsError) as caught:
        prepare_output(out, {**before, "learning_rate": 1e-3})
    assert "learning_rate was 0.0001, is 0.001;" in str(caught.value)
    with pytest.raises(PathPluginsError, match=r"augment was \[1, 2\], is not set; seed was not set, is 3; name"):
        prepare_output(out, {"learning_rate": 1e-4, "seed": 3})
    assert "name another output_dir" in str(caught.value)
    assert not is_finished(out)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("x")
    with pytest.raises(PathPluginsError, match="is not a run of"):
        prepare_output(tmp_path, {})


def test_tensors_are_read_onto_the_device_of_a_cpu_process(tmp_path: Path) -> None:
    torch.save({"step": torch.ones(2)}, tmp_path / "optimizer.pt")
    read_as_cpu()
    read = torch.load(tmp_path / "optimizer.pt", map_location=torch.device("cpu", 0), weights_only=True)
    assert read["step"].tolist() == [1, 1]
