from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.core import registry as module
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import Registry, unknown

GROUP = "pathplugins.tests"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with entry points on the path, as pip would."""

    def install(distribution: str, entries: dict[str, str], version: str = "1.0") -> None:
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        module._entry_points.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    module._entry_points.cache_clear()


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


def test_other_packages_add_parts(install: Callable[..., None]) -> None:
    install("lab-parts", {"lab": "json:loads"}, version="0.3")
    registry = Registry("part", {"own": "json:dumps"}, group=GROUP)
    assert [*registry] == ["lab", "own"]
    assert "lab" in registry
    assert registry.get("lab") is json.loads
    assert (registry.owner("own"), registry.owner("lab")) == ("pathplugins", "lab-parts 0.3")
    assert [*Registry("part", {"own": "json:dumps"})] == ["own"]
    with pytest.raises(PathPluginsError, match=r"unknown part 'lap'\. Did you mean 'lab'\? Known: lab, own"):
        registry.get("lap")


def test_names_that_collide_name_both_distributions(install: Callable[..., None]) -> None:
    install("lab-a", {"twice": "json:loads", "own": "json:loads", "fine": "json:loads"})
    install("lab-b", {"twice": "json:dumps"}, version="2.1")
    registry = Registry("part", {"own": "json:dumps"}, group=GROUP)
    said = r"part 'twice' comes from lab-a 1\.0 and from lab-b 2\.1 \(entry points pathplugins\.tests\); rename it"
    with pytest.raises(PathPluginsError, match=said):
        registry.get("twice")
    with pytest.raises(PathPluginsError, match=r"part 'own' comes from pathplugins and from lab-a 1\.0 "):
        registry.get("own")
    assert registry.get("fine") is json.loads
    assert [*registry] == ["fine", "own", "twice"]  # help texts list them all the same


def test_a_broken_package_breaks_only_who_asks_for_it(install: Callable[..., None]) -> None:
    install("lab-c", {"broken": "no.such.module:Part", "typo": "json:no_such_part"})
    registry = Registry("part", {"own": "json:dumps"}, group=GROUP)
    assert registry.get("own") is json.dumps
    assert [*registry] == ["broken", "own", "typo"]
    said = r"part 'broken' of lab-c 1\.0 cannot be loaded from no\.such\.module:Part: ModuleNotFoundError: .*; correct"
    with pytest.raises(PathPluginsError, match=said):
        registry.get("broken")
    with pytest.raises(PathPluginsError, match=r"cannot be loaded from json:no_such_part: AttributeError: "):
        registry.get("typo")


def test_a_distribution_seen_in_two_folders_is_one(install: Callable[..., None], tmp_path: Path) -> None:
    install("lab-d", {"lab": "json:loads"})
    install("lab-d", {"lab": "json:loads"}, version="1.1")
    assert Registry("part", group=GROUP).get("lab") is json.loads


def test_entry_points_cost_an_import_nothing() -> None:
    code = (
        "import sys; import pathplugins.models.towers, pathplugins.models.connectors, pathplugins.models.selectors;"
        "import pathplugins.core.registry as r; print(r._entry_points.cache_info().currsize)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "0", run.stderr


def test_names_that_are_no_parts_say_what_to_do_instead() -> None:
    parts = Registry("vision tower", {"clip": "a:b"}, elsewhere={"titan": "take features"})
    with pytest.raises(PathPluginsError, match=r"^vision tower 'titan': take features$"):
        parts.get("titan")
    assert unknown("tower", "titan", parts) == "tower 'titan': take features"  # as other callers say it
    assert "titan" not in parts
    assert [*parts] == ["clip"]
