"""Weights out of checkpoints that hold Python objects too, none of which may be built or run (feature A41)."""

from __future__ import annotations

import collections
import datetime
import functools
import os
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.training_file import lazy_tensors


def read(path: Path) -> dict[str, Tensor]:
    return {name: read() for name, read in lazy_tensors(path).items()}


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


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 1}},
        lambda state: {"module": state, "optimizer": None},
        lambda state: {"model": state, "iteration": torch.ones(1)},
        lambda state: {"state_dict": {"model": state}},
    ],
)
def test_weights_below_any_level(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    torch.save(wrap({"a": torch.ones(2), "note": "no tensor", "b": torch.zeros(3)}), tmp_path / "a.pth")
    assert list(read(tmp_path / "a.pth")) == ["a", "b"]


class Trap:
    """Does as pickles may: whoever unpickles it makes a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class Watched:
    """Notices being built."""

    built = 0

    def __new__(cls, *_: Any) -> Watched:
        cls.built += 1
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        type(self).built += 1


class Words(list):
    pass


class Unlisted(dict):
    pass


def test_what_is_no_tensor_is_neither_built_nor_run(tmp_path: Path) -> None:
    objects = {
        "trap": Trap(tmp_path / "trap"),
        "as key": {Trap(tmp_path / "trap"): 1},
        "watched": Watched(),
        "log": [np.arange(3.0), np.float64(2), np.random.get_state(), datetime.datetime.now(), Path("x")],
        "functions": [functools.partial(print, 3), np.mean, len],
        "containers": [collections.defaultdict(list, a=[1]), collections.deque([1]), collections.Counter("aab")],
        "own containers": [Words([1, 2]), Unlisted(a=1), {1, 2}, frozenset({1}), bytearray(b"x"), 1j],
        "of torch": [torch.float16, torch.device("cpu"), torch.Size([1]), nn.Linear(2, 3)],
        "optimizer": torch.optim.AdamW([nn.Parameter(torch.ones(2))]).state_dict(),
    }
    torch.save({"message_hub": objects, "state_dict": {"w": torch.ones(2), **objects}}, tmp_path / "a.pth")
    before = Watched.built
    assert list(read(tmp_path / "a.pth")) == ["w"]
    assert (Watched.built, (tmp_path / "trap").exists()) == (before, False)
    with pytest.raises(FileExistsError):  # the trap does work, and twice
        torch.load(tmp_path / "a.pth", weights_only=False)


def test_classes_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XTuner's environment is not the one where its checkpoint is used."""
    module = types.ModuleType("mmengine_elsewhere")
    history = type("HistoryBuffer", (), {"__module__": module.__name__})
    module.HistoryBuffer = history
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({"message_hub": {"loss": history()}, "state_dict": {"w": torch.ones(2)}}, tmp_path / "a.pth")
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(ModuleNotFoundError):
        torch.load(tmp_path / "a.pth", weights_only=False)
    assert list(read(tmp_path / "a.pth")) == ["w"]


def test_only_what_is_asked_for_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = {"good": torch.arange(5000.0), "bad": torch.ones(7000)}
    torch.save(state, path)
    whole = path.read_bytes()
    at = whole.index(state["bad"].numpy().tobytes()) + 9000
    path.write_bytes(whole[:at] + b"\x7f" + whole[at + 1 :])
    lazy = lazy_tensors(path)
    assert torch.equal(lazy["good"](), state["good"])
    with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file \(BadZipFile in storage 1\); copy it"):
        lazy["bad"]()


def test_one_storage_under_many_names_is_read_once(tmp_path: Path) -> None:
    """DeepSpeed's weights are views of one buffer: of 8 B parameters 16 GB, once for every name."""
    flat = torch.arange(600.0)
    views = {f"w{n}": flat[100 * n : 100 * n + 99].view(9, 11) for n in range(6)}
    torch.save({"module": views}, tmp_path / "mp_rank_00_model_states.pt")
    lazy = lazy_tensors(tmp_path / "mp_rank_00_model_states.pt")
    first = lazy["w3"]()
    (tmp_path / "mp_rank_00_model_states.pt").unlink()
    assert torch.equal(first, views["w3"])
    assert all(torch.equal(lazy[name](), value) for name, value in views.items())


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The archive with other entries; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda name, data: None if name.endswith("data.pkl") else data, "StopIteration"),
        (lambda name, data: None if name.endswith("/data/1") else data, "KeyError in storage 1"),
        (lambda name, data: data[:4] if name.endswith("/data/1") else data, "RuntimeError in storage 1"),
        (lambda name, data: b"" if name.endswith("/data/1") else data, "ValueError in storage 1"),
    ],
    ids=["no pickle", "no storage", "short storage", "empty storage"],
)
def test_archives_with_something_missing(tmp_path: Path, change: Callable[..., bytes | None], reason: str) -> None:
    torch.save({"a": torch.ones(2), "b": torch.ones(3)}, tmp_path / "a.pth")
    rewritten(tmp_path / "a.pth", change)
    with pytest.raises(CheckpointError, match=rf"a\.pth: not a whole PyTorch file \({reason}\); copy it again"):
        read(tmp_path / "a.pth")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": layouts(), "log": Watched()}, tmp_path / "a.pth")
    whole = (tmp_path / "a.pth").read_bytes()
    for length in [0, 1, 5, *range(50, len(whole), 397), len(whole) - 1]:
        (tmp_path / "a.pth").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file"):
            read(tmp_path / "a.pth")


def test_a_pickle_cut_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": layouts(), "log": [np.arange(2.0), Watched()]}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as archive:
        pickled = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for length in range(0, len(pickled), 7):
        with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
            archive.writestr("a/data.pkl", pickled[:length])
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file"):
            lazy_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "got"), [([torch.ones(2)], "list"), (nn.Linear(2, 3), "Python object"), (torch.ones(2), "tensor")]
)
def test_what_is_no_dictionary_is_named(tmp_path: Path, content: Any, got: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=rf"a\.pth: wanted a dictionary of tensors, got a {got}$"):
        lazy_tensors(tmp_path / "a.pth")


def test_files_from_before_zip_are_not_for_this_reader(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"not a whole PyTorch file \(BadZipFile\)"):
        lazy_tensors(tmp_path / "a.pth")
