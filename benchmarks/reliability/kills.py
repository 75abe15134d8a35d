"""Killing the data tools at random moments: the output after the same command is that of an undisturbed run.

Run from the repository root: ``python -m benchmarks.reliability.kills [--kills N] [--seed N] [--only WORD]``.

Each job of `JOBS` runs once undisturbed. Then, for every kill, it starts in a new folder, all its processes get SIGKILL
at a moment drawn from the time that the undisturbed run took, and the same command runs to its end. Every file that the
job is for must equal the undisturbed one byte for byte, and nothing half-written may be left. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .data_jobs import Job, end, end_group, jobs, start, written


def main() -> int:
    """Print a line for each job; 1 if anything was lost, left over or different."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="jobs whose name has this word")
    options = parser.parse_args()
    wrong = 0
    with jobs() as (runs, chosen):
        for job in chosen:
            if options.only in job.name:
                wrong += disturb(job, runs, options.kills, random.Random(options.seed))
    return int(wrong > 0)


def disturb(job: Job, runs: Path, kills: int, draw: random.Random) -> int:
    """Run a job undisturbed, then with one kill each time; returns how many outputs were not the same."""
    out, begin = runs / "out", runs / "begin"  # one place for all: the folder's name stands in some files
    shutil.rmtree(runs, ignore_errors=True)
    begin.mkdir(parents=True)
    if job.before:
        end(start([*job.before, "--out", begin]))
    shutil.copytree(begin, out)
    started = time.monotonic()
    end(start(job.words(out)))
    took = time.monotonic() - started
    wanted, wrong, at_work = written(out), [], 0
    for _ in range(kills):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(begin, out)
        process = start(job.words(out))
        moment = draw.uniform(0, took)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        at_work += process.poll() is None
        end_group(process)
        code = start(job.words(out)).wait()
        got, left = written(out), [path.name for path in out.rglob(".*.tmp")]
        if code or got != wanted or left:
            other = sorted(name for name in {*got} | {*wanted} if got.get(name) != wanted.get(name))
            wrong.append(f"after {moment:.2f} s: exit code {code}, other files {other[:5]}, left over {left[:5]}")
    sys.stdout.write(
        f"{job.name}: {took:.1f} s undisturbed, {len(wanted)} files; {kills} kills, {at_work} of them before its end; "
        f"{len(wrong)} outputs differ\n{''.join(f'  {line}{chr(10)}' for line in wrong)}"
    )
    sys.stdout.flush()
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
