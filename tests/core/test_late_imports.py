"""What is imported late is not imported before it is called, and then is the real thing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathplugins.core.late_imports import late_imports


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module that nobody has imported."""
    (tmp_path / "heavy_one.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "heavy_one"
    sys.modules.pop("heavy_one", None)


def test_a_function_is_imported_when_it_is_called(heavy: str) -> None:
    with late_imports({heavy: ("double",)}):
        from heavy_one import double
    assert heavy not in sys.modules
    assert double(4) == 8
    assert sys.modules[heavy].double(4) == 8


def test_a_package_seems_absent_only_within(heavy: str) -> None:
    with late_imports({}, [heavy]):
        assert importlib.util.find_spec(heavy) is None
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(heavy)
    assert importlib.import_module(heavy).double(1) == 2


def test_what_is_there_already_stays(heavy: str) -> None:
    there = importlib.import_module(heavy)
    with late_imports({heavy: ("double",)}, [heavy]):
        assert sys.modules[heavy] is there
    assert sys.modules[heavy] is there


def test_an_error_within_leaves_nothing(heavy: str) -> None:
    with pytest.raises(KeyError), late_imports({heavy: ("double",)}):
        raise KeyError
    assert heavy not in sys.modules
