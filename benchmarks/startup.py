"""Start-up: what the hook adds to every start of Python, and how long ``--help`` of both programs takes.

``python -c pass`` with and without ``pathplugins.pth``, interleaved; then ``--help`` against ``python -c pass``.

Run: python -m benchmarks.startup [--pairs 200]
"""

from __future__ import annotations

import argparse
import compileall
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUDGET_MS = 1.0
HELP_BUDGET_MS = 350.0
PROGRAMS = {"pathplugins": "pathplugins.cli", "pathdata": "pathplugins.data_tools.cli"}
_IMPORT_TIME = re.compile(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)")


def make_interpreter(folder: Path, *, with_hook: bool) -> Path:
    """Make a bare virtual environment; ``with_hook`` puts into it what the wheel would."""
    venv.create(folder, symlinks=True, with_pip=False)
    if with_hook:
        (site_packages,) = folder.glob("lib/python*/site-packages")
        shutil.copytree(ROOT / "pathplugins", site_packages / "pathplugins")
        (site_packages / "pathplugins" / "data_tools.py").unlink()  # stands in for the folder in a checkout alone
        shutil.copytree(ROOT / "data_tools", site_packages / "pathplugins" / "data_tools")
        shutil.copyfile(ROOT / "pathplugins.pth", site_packages / "pathplugins.pth")
        compileall.compile_dir(site_packages / "pathplugins", quiet=2)  # as pip does after it has copied
    return folder / "bin" / "python"


def start_ms(python: Path, code: str = "pass", *words: str) -> tuple[float, float]:
    """Wall and CPU milliseconds of one ``python -c CODE WORDS``."""
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = time.perf_counter()
    subprocess.run([python, "-c", code, *words], check=True, cwd="/", stdout=subprocess.DEVNULL)
    wall_s = time.perf_counter() - wall_s
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime
    return wall_s * 1e3, cpu_s * 1e3


def import_ms(python: Path) -> float:
    """Milliseconds that ``-X importtime`` books on our modules, their own work and nobody else's."""
    run = subprocess.run(
        [python, "-X", "importtime", "-c", "pass"], check=True, cwd="/", capture_output=True, text=True
    )
    times_us = [int(us) for us, name in _IMPORT_TIME.findall(run.stderr) if name.startswith("pathplugins")]
    if not times_us:
        raise RuntimeError(f"{python} did not load the hook; is {ROOT / 'pathplugins.pth'} intact?")
    return sum(times_us) / 1e3


def help_ms(python: Path, repeats: int) -> dict[str, tuple[float, float]]:
    """Program -> median wall milliseconds of its ``--help``, and of the ``python -c pass`` beside each."""
    found = {}
    for name, module in PROGRAMS.items():
        code = f"import sys; from {module} import main; sys.exit(main())"
        runs = [(start_ms(python, code, "--help")[0], start_ms(python)[0]) for _ in range(repeats)]
        found[name] = (statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs))
    return found


def miss_ns() -> float:
    """Nanoseconds that an import of anything else spends in our finder."""
    sys.path.insert(0, str(ROOT))
    from pathplugins.bootstrap import FINDER

    repeats = 200_000
    return min(timeit.repeat(lambda: FINDER.find_spec("json"), number=repeats, repeat=3)) / repeats * 1e9


def main() -> int:
    """Print the figures; 1 when the hook or a ``--help`` costs more than its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="interleaved pairs of runs (default: %(default)s)")
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        bare = make_interpreter(Path(folder, "bare"), with_hook=False)
        hooked = make_interpreter(Path(folder, "hooked"), with_hook=True)
        for python in (bare, hooked):
            start_ms(python)  # fills the disk cache
        runs = [(start_ms(bare), start_ms(hooked)) for _ in range(pairs)]
        helps = help_ms(hooked, max(5, pairs // 10))
        share_ms = statistics.median(import_ms(hooked) for _ in range(20))
    for index, clock in enumerate(("wall", "CPU")):
        without, with_hook = (statistics.median(run[side][index] for run in runs) for side in (0, 1))
        added = statistics.median(run[1][index] - run[0][index] for run in runs)
        print(
            f"{clock:4}  without {without:6.2f} ms   with {with_hook:6.2f} ms   added {added:+.2f} ms (median of pairs)"
        )
    print(f"-X importtime: {share_ms:.2f} ms in our modules")
    print(f"an import of anything else: {miss_ns():.0f} ns")
    print(f"budget {BUDGET_MS} ms: {'kept' if added < BUDGET_MS else 'EXCEEDED'} (CPU time)")
    for name, (taken, empty) in helps.items():
        kept = "kept" if taken < HELP_BUDGET_MS else "EXCEEDED"
        ratio = f"{taken / empty:.1f} times `python -c pass` ({empty:.0f} ms)"
        print(f"{name} --help: {taken:.0f} ms, {ratio}; budget {HELP_BUDGET_MS:.0f} ms: {kept}")
    return int(added >= BUDGET_MS or any(taken >= HELP_BUDGET_MS for taken, _ in helps.values()))


if __name__ == "__main__":
    sys.exit(main())
