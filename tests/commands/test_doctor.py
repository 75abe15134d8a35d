from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pathplugins.commands import doctor
from pathplugins.core import hosts, versions

ROOT = Path(doctor.__file__).resolve().parents[2]
GOOD = {
    "accelerators": ["H200"],
    "drift": {"llamafactory": [], "xtuner": []},
    "failures": [],
    "registered": {"template custom_vqa_llama3": True},
}


def values(findings: list[doctor.Finding], verdict: str) -> list[tuple[str, str]]:
    return [(finding.name, finding.value) for finding in findings if finding.verdict == verdict]


def test_versions_outside_the_tested_range_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"python": "3.13.1", "torch": "2.15.0", "torchaudio": "2.11.0", "llamafactory": "0.9.5"}
    monkeypatch.setattr(versions, "installed", found.get)
    report = list(doctor._versions())
    assert ("python", "3.13.1 (tested: 3.10 to 3.12)") in values(report, "warn")
    assert ("llamafactory", "0.9.5 (tested: 0.9.3 to 0.9.5)") in values(report, "ok")
    assert ("timm", "not installed") in values(report, "")
    assert [name for name, _ in values(report, "fail")] == ["combination"]


def test_a_trainer_that_knows_us_is_ok() -> None:
    report = list(doctor._trainer(GOOD))
    assert values(report, "fail") == []
    assert ("accelerators", "H200") in values(report, "ok")
    for trainer, points in hosts.TRAINERS.items():
        assert (f"symbols of {trainer}", f"all {len(points)} are as we know them") in values(report, "ok")
        listed = [finding for finding in report if finding.section == f"symbols of {trainer}"]
        assert [finding.value for finding in listed] == [point.path for point in points]
        assert {finding.name for finding in listed} >= {"used", "replaced without a GPU"}


def test_without_a_trainer_nothing_is_claimed() -> None:
    report = list(doctor._trainer({**GOOD, "drift": {}, "registered": {}}))
    assert values(report, "") == [("trainers", "neither llamafactory nor xtuner is installed")]
    assert [name for name, _ in values(report, "ok")] == ["accelerators"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"registered": {"template x": False}}, ("template x", "not registered")),
        ({"drift": {"xtuner": ["a:b no longer has c"]}}, ("symbol changed", "a:b no longer has c")),
        ({"failures": ["llamafactory.x: KeyError"]}, ("registration failed", "llamafactory.x: KeyError")),
    ],
)
def test_what_is_wrong_with_the_trainer_fails(change: dict[str, object], line: tuple[str, str]) -> None:
    assert values(list(doctor._trainer(GOOD | change)), "fail") == [line]


def test_a_child_that_dies_is_reported_with_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback\n  File\nOSError: libtorch.so: no symbol\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: dying)
    assert doctor._ask_child() == "importing it ended with exit code 1: OSError: libtorch.so: no symbol"


def test_the_hook_that_is_off_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_DISABLE", "1")
    assert ("a new interpreter", "off: PATHPLUGINS_DISABLE=1 is set") in values(list(doctor._hook()), "fail")


def test_report_is_aligned_and_counts() -> None:
    text = doctor.render(
        [
            doctor.Finding(section="hook", name="a", value="on"),
            doctor.Finding(section="trainer", name="longer", value="off", verdict="fail"),
            doctor.Finding(section="trainer", name="b", value="absent", verdict=""),
        ]
    )
    assert text == (
        "hook\n  ok    a       on\n\ntrainer\n  fail  longer  off\n        b       absent\n\n1 problem found\n"
    )


@pytest.mark.host
def test_the_whole_report_in_this_environment() -> None:
    """Exit code and last line agree, and every name we register is known to the trainer."""
    trainers = [name for name in hosts.TRAINERS if versions.installed(name)]
    assert trainers
    env = {name: value for name, value in os.environ.items() if not name.startswith("PATHPLUGINS_")}
    command = [sys.executable, "-m", "pathplugins.cli", "doctor"]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    for trainer in trainers:
        assert f"symbols of {trainer}" in run.stdout, run.stdout
    for entry in hosts.REGISTERED if "llamafactory" in trainers else ():
        (line,) = (line for line in run.stdout.splitlines() if f" {entry.kind} {entry.name} " in line)
        assert line.split()[0] == "ok", run.stdout
    assert (run.returncode == 0) == run.stdout.endswith("nothing wrong found\n"), run.stdout
