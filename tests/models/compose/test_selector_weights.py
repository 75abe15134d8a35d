"""Weights of the token selector: written beside the connector, read from there, or begun anew with a warning."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX, load_selector, save_selector
from pathplugins.models.compose.spec import SELECTOR_FILE
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import TokenSelector


def selector(width: int = 6) -> TokenSelector:
    part = SELECTORS.get("prompt_topk")(width, 10)
    for value in part.state_dict().values():
        torch.nn.init.normal_(value)
    return part


def same(one: TokenSelector, other: TokenSelector) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_there_and_back_beside_a_connector_and_in_a_whole_model(tmp_path: Path) -> None:
    trained = selector()
    assert trained.state_dict()
    save_selector(trained.state_dict(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SELECTOR_FILE]
    for place in (tmp_path, tmp_path / "mm_projector.bin"):
        fresh = selector()
        load_selector(fresh, place)
        assert same(fresh, trained)
    whole = tmp_path / "whole"
    whole.mkdir()
    save_file({**load_file(tmp_path / SELECTOR_FILE), "lm_head.weight": torch.ones(2)}, whole / "model.safetensors")
    fresh = selector()
    load_selector(fresh, whole)
    assert same(fresh, trained)


def test_where_there_are_none_it_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fresh, before = selector(), None
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        load_selector(fresh, tmp_path / "mm_projector.bin")
    assert "holds no weights of the token selector: its projection starts anew" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
    caplog.clear()
    load_selector(SELECTORS.get("stride")(6, 10), tmp_path)
    assert not caplog.text, "a selector without weights needs none"
    save_selector({}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_language_model_are_refused(tmp_path: Path) -> None:
    save_selector(selector(width=7).state_dict(), tmp_path)
    with pytest.raises(CheckpointError, match=rf"{SELECTOR_FILE} does not fit the token selector: .* of another shape"):
        load_selector(selector(), tmp_path)
    assert all(name.startswith(SELECTOR_PREFIX) for name in load_file(tmp_path / SELECTOR_FILE))
