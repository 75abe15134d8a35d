from __future__ import annotations

import platform

import pytest

from pathplugins.core import versions


@pytest.mark.parametrize(
    ("name", "version", "tested"),
    [
        ("llamafactory", "0.9.2", False),
        ("llamafactory", "0.9.3", True),
        ("llamafactory", "0.9.5", True),
        ("llamafactory", "0.9.6.dev0", False),
        ("llamafactory", "0.10.0", False),
        ("python", "3.9.18", False),
        ("python", "3.12.7", True),
        ("python", "3.13.0", False),
        ("torch", "2.11.0+cu130", True),
        ("torch", "2.4.0", False),
        ("nobody-has-a-range-for-this", "99", True),
    ],
)
def test_tested_range(name: str, version: str, tested: bool) -> None:
    assert versions.is_tested(name, version) is tested


def test_release_is_a_number_not_a_string() -> None:
    assert versions.release("0.9.10") > versions.release("0.9.9")
    assert versions.release("2.11.0rc1+cpu") == (2, 11, 0)
    with pytest.raises(ValueError, match="'main' does not start with a version number"):
        versions.release("main")


def test_installed() -> None:
    assert versions.installed("python") == platform.python_version()
    assert versions.installed("no-such-distribution") is None
    assert versions.installed("pytest") == pytest.__version__


def test_describe_names_installed_and_tested() -> None:
    assert versions.describe("python") == f"python {platform.python_version()} installed, 3.10 to 3.12 tested"
    assert versions.describe("no-such-distribution") == "no-such-distribution not installed as a package"


def test_known_bad() -> None:
    good = {"transformers": "5.5.4", "torch": "2.11.0", "torchaudio": "2.11.1", "peft": None}
    assert versions.known_bad(good) == []
    assert "pip install transformers==5.5.4" in versions.known_bad(good | {"transformers": "5.6.0"})[0]
    assert "'torchaudio==2.15.*'" in versions.known_bad(good | {"torch": "2.15.0"})[0]
    assert versions.known_bad({"torch": "2.15.0", "torchaudio": None}) == []


def test_only_versions_outside_the_tested_range_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"llamafactory": "0.9.7", "transformers": "5.5.4", "peft": None}
    monkeypatch.setattr(versions, "installed", found.get)
    assert versions.untested("llamafactory", "transformers", "peft") == [
        "llamafactory 0.9.7 installed, 0.9.3 to 0.9.5 tested"
    ]
