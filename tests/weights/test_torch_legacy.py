"""Files as PyTorch wrote them before version 1.6."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights
from pathplugins.weights.torch_legacy import legacy_content


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_tensors_come_back_and_nothing_runs(tmp_path: Path) -> None:
    grid = torch.arange(42.0).view(6, 7)
    state = {"grid": grid, "window": grid[1:5:2, 3:], "half": grid.half(), "bf16": grid.bfloat16().T, "one": grid[0, 3]}
    path = saved(
        tmp_path / "a.pth", {"model": state, "args": Harmful(tmp_path / "ran"), "module": torch.nn.Linear(2, 3)}
    )
    weights = open_weights(path)
    assert weights.names() == list(state)
    assert all(torch.equal(weights[name], value) for name, value in state.items())
    assert torch.equal(weights.stored["grid"].rows(2, 4), grid[2:4])
    assert not (tmp_path / "ran").exists()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pth", {"a": torch.ones(40), "b": torch.zeros(3, 5)}).read_bytes()
    for length in range(1, len(whole), 13):
        (tmp_path / "a.pth").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file .*download or copy it again"):
            legacy_content(tmp_path / "a.pth")


def test_a_storage_that_claims_more_than_the_file_has_is_damage(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pth", {"a": torch.ones(40)}).read_bytes()
    for count in (41, 2**40, 2**63, 2**64 - 1):
        (tmp_path / "a.pth").write_bytes(whole.replace((40).to_bytes(8, "little"), count.to_bytes(8, "little")))
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file"):
            legacy_content(tmp_path / "a.pth")


def test_another_pickle_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(pickle.dumps({"a": Harmful(tmp_path / "ran")}))
    with pytest.raises(CheckpointError, match=r"a\.bin: a pickle that torch\.save did not write"):
        open_weights(tmp_path / "a.bin")
    assert not (tmp_path / "ran").exists()
