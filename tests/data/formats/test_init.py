"""Every format is found by name, takes media_dir, and is in the documentation."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS, READERS

ROOT = Path(__file__).resolve().parents[3]
ALL = {name: formats.get(name) for formats in (READERS, PREFERENCE_FORMATS) for name in formats}
NAMES = sorted(ALL)


def test_there_are_formats() -> None:
    assert len(NAMES) >= 8
    modules = {path.stem for path in (ROOT / "pathplugins/data/formats").glob("[!_]*.py")}
    assert {*NAMES} >= modules  # one file, one format
    assert {*FORMATS} < {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_readers_share_a_signature(name: str) -> None:
    first, *options = inspect.signature(ALL[name]).parameters.values()
    assert first.name == "path"
    assert {"media_dir", "image_suffix"} <= {option.name for option in options}
    assert all(option.kind is option.KEYWORD_ONLY and option.default is not option.empty for option in options)


@pytest.mark.parametrize("name", NAMES)
def test_readers_stream(name: str) -> None:
    assert inspect.signature(ALL[name].stream) == inspect.signature(ALL[name])


@pytest.mark.parametrize("name", NAMES)
def test_formats_are_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
