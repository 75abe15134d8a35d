"""Suites name formats, options and scores that exist, and are documented."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from pathplugins.data.formats import FORMATS
from pathplugins.data.scoring.tasks import TASKS
from pathplugins.published.suites import SUITES, Suite

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_the_suites() -> None:
    assert {*SUITES} == {
        "pathvqa",
        "pmc-vqa",
        "quilt-vqa",
        "quilt-vqa-red",
        "pmc-vqa-quilt",
        "slidebench",
        "wsi-bench",
        "wsi-bench-choices",
        "class-folders",
    }


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_a_row(suite: Suite) -> None:
    assert {*suite.options} <= {*inspect.signature(FORMATS.get(suite.format)).parameters}
    assert suite.task in TASKS
    assert suite.source.startswith("https://")
    assert f"`{suite.name}`" in PAGE
