"""Differences of weights in one clause."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from pathplugins.weights import open_weights
from pathplugins.weights.compare import few, mismatch

STATE = {"a.x": torch.arange(3.0), "b.x": torch.ones(2, 2)}


def test_mismatch_names_everything_that_differs(tmp_path: Path) -> None:
    assert mismatch(STATE, dict(reversed(STATE.items()))) == ""
    found = {"b.x": torch.ones(2, 3), "c": torch.ones(1)}
    said = "1 missing: a.x; 1 unexpected: c; 1 of another shape: b.x is (2, 3), wanted (2, 2)"
    assert mismatch(STATE, found) == said
    save_file(found, tmp_path / "a.safetensors")
    assert mismatch(STATE, open_weights(tmp_path / "a.safetensors")) == said


def test_few_stops_after_five() -> None:
    assert few("abcde") == "a, b, c, d, e"
    assert few(iter("abcdef")) == "a, b, c, d, e, ..."
