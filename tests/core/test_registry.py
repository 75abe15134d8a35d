from __future__ import annotations

import json

import pytest

from pathplugins.core.registry import Registry, unknown


def test_targets_given_as_text_are_loaded_when_asked_for() -> None:
    registry = Registry("encoder", {"json": "json:dumps", "absent": "no.such.module:thing"})
    assert registry.get("json") is json.dumps
    assert list(registry) == ["absent", "json"]
    assert "json" in registry
    with pytest.raises(ModuleNotFoundError):
        registry.get("absent")


def test_the_same_pair_may_come_twice_another_may_not() -> None:
    registry = Registry("encoder")
    registry.register("uni", "json:dumps")
    registry.register("uni", "json:dumps")
    with pytest.raises(ValueError, match="encoder 'uni' is already 'json:dumps'; choose another name"):
        registry.register("uni", "json:loads")
    assert registry.get("uni") is json.dumps


def test_a_miss_names_the_nearest_and_all() -> None:
    with pytest.raises(ValueError, match=r"unknown encoder 'unl'. Did you mean 'uni'\? Known: plip, uni"):
        Registry("encoder", {"uni": "x:y", "plip": "x:z"}).get("unl")
    assert unknown("encoder", "zzz", ["uni"]) == "unknown encoder 'zzz'. Known: uni"
