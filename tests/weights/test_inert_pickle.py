"""Checkpoints that hold Python objects too, none of which may be built or run (feature A41)."""

from __future__ import annotations

import collections
import datetime
import functools
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pathplugins.weights import open_weights


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
    assert open_weights(tmp_path / "a.pth").names() == ["w"]
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
    assert open_weights(tmp_path / "a.pth").names() == ["w"]


class Tagged(torch.Tensor):
    pass


def test_tensors_of_other_classes_and_types_come_back(tmp_path: Path) -> None:
    """Subclasses, tensors with attributes, parameters with state, types without a storage class."""
    noted, parameter = torch.arange(3.0), nn.Parameter(torch.arange(4.0))
    noted.note, parameter.note = "said", "said"
    state = {"subclass": torch.arange(5.0).as_subclass(Tagged), "noted": noted, "parameter": parameter}
    more = [name for name in ("uint16", "float8_e4m3fn") if hasattr(torch, name)]
    state |= {name: torch.arange(6).to(getattr(torch, name)) for name in more}
    torch.save(state, tmp_path / "a.pth")
    weights = open_weights(tmp_path / "a.pth")
    assert weights.names() == list(state)
    for name, value in state.items():
        assert weights.dtype(name) == str(value.dtype).removeprefix("torch.")
        assert torch.equal(weights[name].float(), value.detach().as_subclass(torch.Tensor).float()), name
