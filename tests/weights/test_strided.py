"""Tensors in storages: every type and layout comes back, in memory of its own."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights
from pathplugins.weights.strided import Storage, Strided


def layouts() -> dict[str, Tensor]:
    grid = torch.arange(42.0).view(6, 7)
    return {
        "plain": grid,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "transposed": grid.T,
        "window": grid[1:5:2, 3:],
        "expanded": torch.arange(3.0)[:, None].expand(3, 4),
        "parameter": nn.Parameter(grid + 1),
    }


def read(path: Path) -> dict[str, Tensor]:
    return dict(open_weights(path))


DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("dtype", [getattr(torch, name) for name in DTYPES], ids=str)
def test_tensors_of_every_kind_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.detach().to(dtype) for name, value in layouts().items()}
    torch.save(state, tmp_path / "a.pth")
    got = read(tmp_path / "a.pth")
    assert list(got) == list(state)
    for name, value in state.items():
        assert (got[name].dtype, got[name].shape) == (dtype, value.shape)
        assert torch.equal(got[name], value), name


def test_layouts_and_shared_memory_come_back(tmp_path: Path) -> None:
    state = layouts()
    torch.save(collections.OrderedDict(state), tmp_path / "a.pth")
    got = read(tmp_path / "a.pth")
    assert got.keys() == state.keys()
    assert all(torch.equal(got[name], value) and not got[name].requires_grad for name, value in state.items())
    got["plain"] += 1
    assert torch.equal(got["window"], state["window"])  # one memory in the file, but not here


def test_rows_of_every_layout(tmp_path: Path) -> None:
    state = {name: value.detach() for name, value in layouts().items() if value.ndim}
    torch.save(state, tmp_path / "a.pth")
    stored = open_weights(tmp_path / "a.pth").stored
    for name, value in state.items():
        for start, stop in ((0, 2), (1, 99), (2, 2), (3, 1)):
            assert torch.equal(stored[name].rows(start, stop), value[start:stop]), (name, start, stop)


class Short(Storage):
    path, dtype, key = Path("x.pth"), "float32", "7"

    def bytes(self, start: int, stop: int) -> bytearray:
        raise self.damaged("is cut short")


@pytest.mark.parametrize(("offset", "size", "stride"), [(-1, (2,), (1,)), (0, (2, -3), (1, 1)), (0, (2,), (-1,))])
def test_sizes_that_no_tensor_has_are_refused(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"x\.pth: not a whole PyTorch file \(storage 7 has a tensor of negative"):
        Strided("float32", size, Short(), offset, stride).read()
    with pytest.raises(CheckpointError, match=r"storage 7 is cut short"):
        Strided("float32", (2,), Short(), 0, (1,)).read()
