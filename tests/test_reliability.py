"""The fuzzer finds nothing in a few inputs of every kind, and does find what a reader does that it must not do."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
A_FEW = 8

BAD_READERS = """
import os, signal, sys, time
from pathlib import Path
from benchmarks.reliability.fuzz import fuzz
from benchmarks.reliability.targets import Target
from pathplugins.core.errors import PathPluginsError

def refuses(path):
    raise PathPluginsError("no")

def breaks(path):
    int(path.read_bytes())

def dies(path):
    os.kill(os.getpid(), signal.SIGSEGV)

def strays(path):
    (path.parents[2] / "left").write_bytes(b"")

def runs(path):
    os.system("true")

def swells(path):
    bytearray(2**33)

def says(read):
    target = Target(name=read.__name__, read=read, seeds={"a.txt": b"17"}, text=True)
    return sorted(fuzz(target, 5, 0, Path(sys.argv[1])).faults)

(Path(sys.argv[1]) / "faults").mkdir()
print([says(read) for read in (refuses, breaks, dies, strays, runs, swells)])
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_few_inputs_of_every_kind(tmp_path: Path) -> None:
    for name in ("hdf5plugin", "hypothesis", "openslide", "pyarrow", "pydicom", "pylibCZIrw", "tifffile", "wsidicom"):
        pytest.importorskip(name)
    done = run("-m", "benchmarks.reliability.fuzz", "--out", str(tmp_path), "--each", str(A_FEW))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "fuzz.json").read_text())
    assert len(found) > 50
    assert all(tally["inputs"] >= A_FEW for tally in found.values())
    assert sum(tally["refused"] for tally in found.values()) > 100


def test_the_fuzzer_sees_what_a_reader_must_not_do(tmp_path: Path) -> None:
    pytest.importorskip("hypothesis")
    done = run("-c", BAD_READERS, str(tmp_path))
    assert done.returncode == 0, done.stderr
    refused, broken, dead, strayed, ran, swollen = ast.literal_eval(done.stdout)
    assert refused == []
    assert broken == ["ValueError from <string>:breaks"]
    assert dead == ["the process died of SIGSEGV"]
    assert "opened left outside its folder to write" in strayed
    assert ran == ["ran code: os.system"]
    assert swollen == ["took too much memory"]
