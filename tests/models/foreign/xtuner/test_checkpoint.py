"""A checkpoint of XTuner: read without running it, as a file or a folder of DeepSpeed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint


class Runs:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def test_a_checkpoint_is_read_without_running_it(tmp_path: Path) -> None:
    state = {"llm.a": torch.arange(6.0).view(2, 3), "llm.b": torch.ones(3, dtype=torch.bfloat16)}
    wrapped = {f"module.{name}": value for name, value in state.items()}
    trap = {"state": Runs(str(tmp_path / "marker"))}
    torch.save(
        {"meta": {"iter": 2}, "state_dict": state, "message_hub": trap, "optimizer": trap}, tmp_path / "iter_2.pth"
    )
    (tmp_path / "iter_3.pth").mkdir()
    torch.save({"module": wrapped, "optimizer": trap}, tmp_path / "iter_3.pth" / "mp_rank_00_model_states.pt")
    for name in ("iter_2.pth", "iter_3.pth"):
        got = read_checkpoint(str(tmp_path / name))
        assert list(got) == list(state)
        assert all(torch.equal(value, state[name]) for name, value in got.items())
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(("text", "said"), [(None, "does not exist"), (b"PK\3\4 cut", "not a whole PyTorch file")])
def test_no_checkpoint(tmp_path: Path, text: bytes | None, said: str) -> None:
    if text is not None:
        (tmp_path / "iter_1.pth").write_bytes(text)
    with pytest.raises(CheckpointError, match=f"iter_1.pth.*{said}"):
        read_checkpoint(tmp_path / "iter_1.pth")
