"""Engine options: how many slides at a time, and where the summary goes."""

import argparse
import sys

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.engine import EngineOptions, add_engine_options


def parsed(*words: str) -> EngineOptions:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    return read_options(parser.parse_args(words), EngineOptions)


def test_defaults_and_values() -> None:
    assert parsed() == EngineOptions()
    options = parsed("--workers", "3", "--engine", "ray", "--address", "auto", "--dry-run", "--overwrite")
    assert options == EngineOptions(workers=3, engine="ray", address="auto", dry_run=True, overwrite=True)
    with pytest.raises(PathPluginsError, match="--workers must be at least 1, got 0"):
        parsed("--workers", "0")


def test_the_summary_goes_to_stdout_on_demand() -> None:
    assert parsed().summary_to is None
    assert parsed("--json").summary_to is sys.stdout
