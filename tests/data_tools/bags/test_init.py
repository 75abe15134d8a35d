"""The registry of feature containers: each reader is a module that can be loaded, each kind has one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import get_args

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import READERS, WRITERS, sources_in
from pathplugins.data_tools.bags.kinds import Kind


@pytest.mark.parametrize("name", READERS)
def test_every_reader_is_a_module_with_both_functions(name: str) -> None:
    module = importlib.import_module(f"pathplugins.data_tools.bags.{READERS[name]}")
    assert callable(module.sources)
    assert callable(module.open_source)


def test_kinds_with_features_have_a_reader() -> None:
    assert {*READERS} == {*get_args(Kind)} - {"patches", "slide-embedding", "unpuzzle"}
    assert {*WRITERS} - {"bare"} <= {*READERS}  # read as h5-features


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(PathPluginsError, match=r"unknown kind of features 'tridnet'. Did you mean 'trident'"):
        sources_in(Path("a.h5"), "tridnet")
