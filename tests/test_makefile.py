"""The Makefile: every test is run by some target, and what it says of itself is true."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_test_is_run_by_a_target() -> None:
    run = {word for line in re.findall(r"-m pytest (.*)", MAKEFILE) for word in line.split()}
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    parts = {f"tests/{folder.relative_to(ROOT / 'tests').parts[0]}" for folder in folders - {ROOT / "tests"}}
    assert len(parts) >= 7
    assert parts - run == set()
    assert "tests/test_*.py" in run


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_the_targets_that_are_explained() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make ([a-z-]+)", done.stdout, re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    assert set(listed) == set(phony)


def test_environments_are_compiled_when_they_are_installed() -> None:
    """A trainer starts in half the time."""
    assert "export UV_COMPILE_BYTECODE := 1" in MAKEFILE
