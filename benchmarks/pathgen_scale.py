"""PathGen at its full size, 1.6 million texts: records per second and memory of each step that sees all of them.

Run from the repository root: ``python -m benchmarks.pathgen_scale [--records N] [--slides N]``. A caption file of that
many made-up rows (50 words each, slides mixed, with ``file_id``) is written to a temporary folder: 0.9 GB.

*manifest* is ``pathdata pathgen manifest --offline``, *plan* what ``pathdata pathgen extract`` does before its first
slide (a dry run, in which one slide is there), *convert* is ``pathdata convert pathgen --to sharegpt`` of the file,
which looks at no images. Each runs as a command of its own; memory is the peak of all its processes together, shared
pages counted once, seen every tenth of a second. On a machine with other work *cpu*, the processor seconds of all
processes, is the better measure. Bars: 100,000 records a second for the manifest, 1 GiB for each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GIB, POLL_S, WORDS = 2**30, 0.1, 50
MANIFEST_RATE, MEMORY = 100_000, 1.0  #: bars: records per second, GiB
LEXICON = """
    tissue nuclei stroma glands invasive chromatin mitotic necrosis lymphocytes fibrous epithelium patch shows with
    prominent irregular hyperchromatic dense pattern cells carcinoma moderate marked atypia of the and a in arranged
    """


class Spent(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    """Processor seconds of all its processes."""
    peak: int
    """Bytes."""


def write_source(path: Path, records: int, slides: int) -> str:
    """Write the caption file; returns the id of one slide."""
    draw, words = random.Random(0), LEXICON.split()
    texts = [" ".join(draw.choices(words, k=WORDS)) for _ in range(997)]
    uuids = [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(2 * slides)]
    ids = [(f"TCGA-{n:04X}-01Z-00-DX1.{uuids[2 * n].upper()}", uuids[2 * n + 1]) for n in range(slides)]
    with path.open("w") as rows:
        for number in range(records):
            wsi_id, file_id = draw.choice(ids)
            position = [str(32 * (number % 3000)), str(32 * (number // 3000))]
            caption = f"{texts[number % len(texts)]} {number}."
            row = {"wsi_id": wsi_id, "position": position, "caption": caption, "file_id": file_id}
            rows.write(f"{',' if number else '['}\n{json.dumps(row)}")
        rows.write("\n]\n")
    return ids[0][0]


def spent_by(*words: object) -> Spent:
    """Run ``pathdata`` with these words, as a command of its own."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pathplugins.data_tools", *map(str, words)], stderr=subprocess.PIPE, text=True
    )
    peak = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, sum(map(_bytes_of, _family(process.pid))))
        time.sleep(POLL_S)
    if status:
        raise SystemExit(f"{' '.join(map(str, words))}: status {status}: {process.stderr.read()}")
    return Spent(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak)


def _family(pid: int) -> Iterator[int]:
    """Yield the process and those it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield from _family(child)


def _bytes_of(pid: int) -> int:
    """Memory of a process, its part of shared pages; 0 if it has ended."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_600_000)
    parser.add_argument("--slides", type=int, default=7300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "PathGen.json"
        wsi_id = write_source(source, args.records, args.slides)
        (folder / "slides").mkdir()
        (folder / "slides" / f"{wsi_id}.svs").touch()
        extract = ("pathgen", "extract", source, "--slides", folder / "slides", "--out", folder / "pairs", "--dry-run")
        steps = {
            "manifest": ("pathgen", "manifest", source, "--out", folder / "manifest.txt", "--offline"),
            "plan": extract,
            "convert": ("convert", "pathgen", source, "--to", "sharegpt", "--out", folder / "data" / "pathgen.json"),
        }
        print(f"{args.records:,} records on {args.slides:,} slides")
        print(f"{'step':>10}{'records/s':>12}{'seconds':>9}{'cpu s':>8}{'peak GiB':>10}", flush=True)
        kept = True
        for step, words in steps.items():
            seconds, cpu, peak = spent_by(*words)
            rate, memory = args.records / seconds, peak / GIB
            print(f"{step:>10}{rate:>12,.0f}{seconds:>9.1f}{cpu:>8.1f}{memory:>10.2f}", flush=True)
            kept &= memory < MEMORY and (step != "manifest" or rate >= MANIFEST_RATE)
    print(f"bars: manifest >= {MANIFEST_RATE:,} records/s, each < {MEMORY:g} GiB: {'kept' if kept else 'MISSED'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
