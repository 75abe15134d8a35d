"""The lists of what we lean on, against the installed trainer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pathplugins.core import hosts, touch_points, versions

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("trainer", hosts.TRAINERS)
def test_every_point_says_why_and_private_ones_when_they_can_go(trainer: str) -> None:
    points = hosts.TRAINERS[trainer]
    assert len(points) >= 15
    assert len({entry.path for entry in points}) == len(points)
    for entry in points:
        assert entry.why
        private = entry.path.partition(":")[2].startswith("_")
        assert not (private and entry.drop_when == touch_points.PUBLIC), entry.path


@pytest.mark.host
@pytest.mark.parametrize("trainer", hosts.TRAINERS)
def test_the_installed_trainer_has_what_we_use(trainer: str) -> None:
    version = versions.installed(trainer)
    if version is None:
        pytest.skip(f"{trainer} is not installed here")
    assert versions.is_tested(trainer, version)
    assert touch_points.check(hosts.TRAINERS[trainer]) == []


@pytest.mark.parametrize("trainer", hosts.TRAINERS)
def test_the_documented_replacements_are_the_listed_ones(trainer: str) -> None:
    """The table of ``docs/TRAINER.md`` whose first column heads `replaced`: symbol, when."""
    page = (DOCS / f"{trainer}.md").read_text(encoding="utf-8")
    rows = re.search(r"^\| replaced \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)[1]
    documented = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", rows, re.MULTILINE))
    points = [point for point in hosts.TRAINERS[trainer] if point.replaced]
    assert documented == {point.path.replace(":", "."): point.replaced for point in points}
