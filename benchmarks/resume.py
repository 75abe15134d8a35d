"""Killing a run again and again: the same bags as those of an undisturbed one, and what the interruptions cost.

Run from the repository root: ``python -m benchmarks.resume [--kills N] [--slides N]``. ``pathdata run`` with two
processes is started on drawn slides, killed with SIGKILL at a random moment of its work, and started again, that many
times; then it may end. Bags must be equal byte for byte, none missing, nothing half-written left. What a kill costs at
least is starting Python and the encoder again, and the slides that were under way.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pathplugins.data_tools.engine.locks import holder_of
from pathplugins.data_tools.slides.demo import KINDS, write_demo_slide

WORDS = ("--patch-size", "64", "--overlap", "56", "--batch-size", "32", "--workers", "2", "--device", "cpu")
ENCODER = ("--encoder", "test_vit", "--random-weights", "0")


def main() -> int:
    """Print what happened; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds of work before a kill, at most")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        slides, calm, hit = Path(folder, "slides"), Path(folder, "calm"), Path(folder, "hit")
        for number in range(args.slides):
            write_demo_slide(slides / f"slide{number:02}.svs", (700, 600), seed=number, kind=number % len(KINDS))
        start = time.monotonic()
        start_run(slides, calm).wait()
        print(f"undisturbed: {time.monotonic() - start:.0f} s, {len(bags(calm))} bags")
        start, kills = time.monotonic(), Counter[str]()
        for number in range(1, args.kills + 1):
            kills[kill_once(slides, hit, draw.uniform(0, args.longest))] += 1
            print(f"kill {number}: {len(bags(hit))} bags whole, {len(leftovers(hit))} half-written files", flush=True)
        code = start_run(slides, hit).wait()
        print(f"killed {args.kills} times ({dict(kills)}): {time.monotonic() - start:.0f} s, last exit code {code}")
        same, left = bags(hit) == bags(calm), leftovers(hit)
        print(f"bags identical: {same}; half-written files left: {len(left)}")
    return int(code != 0 or not same or bool(left))


def start_run(slides: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the run as a process of its own."""
    command = [sys.executable, "-m", "pathplugins.data_tools", "run", str(slides), "--out", str(out), *ENCODER, *WORDS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_once(slides: Path, out: Path, after: float) -> str:
    """Start, wait until a slide is in work, then so many seconds, and kill; says what was going on."""
    process = start_run(slides, out)
    while process.poll() is None and not is_working(out):
        time.sleep(0.01)
    end = time.monotonic() + after
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    if process.poll() is not None:
        return "had ended"
    process.kill()
    process.wait()
    while is_working(out):  # its workers follow it at once
        time.sleep(0.01)
    return "at work"


def is_working(out: Path) -> bool:
    """Whether a process holds a slide; the file of a lock outlives a kill, the lock does not."""
    return any(holder_of(path) for path in (out / "locks").glob("*.lock"))


def bags(folder: Path) -> dict[str, bytes]:
    """File name -> bytes."""
    return {path.name: path.read_bytes() for path in (folder / "bags").glob("*.h5")}


def leftovers(folder: Path) -> list[Path]:
    """Files written beside that were not renamed."""
    return list(folder.rglob(".*.tmp"))


if __name__ == "__main__":
    sys.exit(main())
