"""A forked program is as a started one: arguments, variables, folder, streams, signals, end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prepared_python import Prepared

PROGRAM = """
import os, signal, sys, time
print(sys.argv, os.getcwd(), os.environ.get("OWN"), __name__, sys.path[0], "wave" in sys.modules, os.getpid(), sep="|")
print("said", file=sys.stderr)
if sys.argv[1] == "sleep":
    sys.stdout.flush()
    time.sleep(600)
if sys.argv[1] == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
sys.exit(3)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path_factory.mktemp("ours")), prepend=os.pathsep)
        made = Prepared(tmp_path_factory.mktemp("prepared"), dict(os.environ), ("wave", "no_such_module"))
        made.wait()
        yield made
    made.close()


@pytest.fixture
def start(prepared: Prepared, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "program.py").write_text(PROGRAM)

    def start(*words: str, **variables: str) -> subprocess.Popen[str]:
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, **variables}
        return subprocess.Popen(
            [prepared.python, *words], cwd=tmp_path, env=environment, start_new_session=True, **options
        )

    return start


@pytest.mark.parametrize(
    ("variables", "forked"),
    [
        ({"OWN": "1"}, "True"),
        ({"OWN": "1", "PYTHONHASHSEED": "7"}, "False"),
        ({"OWN": "1", "PYTHONPATH": "instead"}, "False"),
    ],
)
def test_it_runs_as_a_program_does(
    start: Callable[..., Any], tmp_path: Path, variables: dict[str, str], forked: str
) -> None:
    process = start("-u", "program.py", "a b", **variables)
    out, err = process.communicate(timeout=60)
    folder = os.path.realpath(tmp_path)
    assert out.split("|")[:-1] == ["['program.py', 'a b']", folder, "1", "__main__", folder, forked]
    assert (err, process.returncode) == ("said\n", 3)


def test_it_finds_what_a_folder_in_front_of_the_others_holds(start: Callable[..., Any], tmp_path: Path) -> None:
    folders = [str(tmp_path / "first"), str(tmp_path / "second")]
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    (tmp_path / "shown.py").write_text("import sys; print('wave' in sys.modules, sys.path[1:3])")
    out, _ = start("shown.py", PYTHONPATH=path).communicate(timeout=60)
    assert out == f"True {folders}\n"


def test_what_is_no_file_gets_an_interpreter_of_its_own(start: Callable[..., Any]) -> None:
    out, _ = start("-c", "import sys; print('wave' in sys.modules)").communicate(timeout=60)
    assert out == "False\n"


def test_it_ends_by_the_signal_that_ended_the_program(start: Callable[..., Any]) -> None:
    process = start("program.py", "crash")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_program(start: Callable[..., Any], number: signal.Signals) -> None:
    process = start("program.py", "sleep")
    pid = int(process.stdout.readline().split("|")[-1])
    assert pid != process.pid
    os.killpg(process.pid, number)
    assert process.wait(timeout=60) == -number
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
    process.communicate(timeout=60)
