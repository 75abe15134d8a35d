"""Systems: every configuration that ships belongs to one, and every file they name ships."""

from pathlib import Path

import pytest

from pathplugins.published.systems import SYSTEMS, System

ROOT = Path(__file__).resolve().parents[3]
SHARED = {"pathology_base.py", "pallava_smoke_align.py", "pallava_smoke_tune.py"}
"""Configurations that are no system: the common base, and PA-LLaVA in small."""


@pytest.mark.parametrize(
    ("folder", "pattern", "trainer"),
    [("llamafactory_configs", "*.yaml", "llamafactory"), ("xtuner_configs", "*.py", "xtuner")],
)
def test_configurations_are_those_that_ship(folder: str, pattern: str, trainer: str) -> None:
    shipped = {path.name for path in (ROOT / folder).glob(pattern)} - SHARED
    named = [name for system in SYSTEMS for name in getattr(system, trainer)]
    assert shipped
    assert sorted(named) == sorted(shipped)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_fact_has_its_source(system: System) -> None:
    links = (system.paper, system.code, *system.weights)
    assert all(link.url.startswith("https://") and link.name for link in links)
    assert system.licence.statements
    assert system.compared
    assert system.not_compared


def test_the_parts_are_registered() -> None:
    pytest.importorskip("torch")
    from pathplugins.models.connectors import CONNECTORS
    from pathplugins.models.towers import TOWERS

    for system in SYSTEMS:
        assert system.tower.split("`")[1] in TOWERS
        assert system.connector.strip("`") in CONNECTORS
