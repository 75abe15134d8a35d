"""Converting records: ``pathdata convert llava --to sharegpt`` against the script everybody writes.

Run from the repository root: ``python -m benchmarks.conversion [--records N] [--rounds N]``. The script is json.load, a
loop, json.dump. Both read the same file of made-up LLaVA records, refuse a record whose ``<image>`` marks are not as
many as its images and an id that stands there twice, and write the same records. No image is looked at.

They take turns, each in a fresh process whose imports are not measured. Times are those of the clock, as ours uses
several processes; the fastest round counts, and ``of medians`` is the same ratio of the medians, on which a busy
machine tells more. ``alone`` is ours kept to one process. Memory is what a process has at its peak above what it began
with; for ours, that of the others is added, each taken for the largest of them, above one that does nothing.

What nobody can do without, as long as Python's own parser is used: making objects of the text. ``parse`` does that,
piece by piece, and drops them. With two processors, half of its time is the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.measure import MIB, in_fresh_process, peak_bytes, verdict

FASTER, MEMORY = 3.0, 0.1
WORDS = (
    *("tumour", "glands", "stroma", "nuclei", "mitoses", "necrosis", "lymphocytes", "größer", "carcinoma", "the", "a"),
    *("of", "with", "shows", "mild", "marked", "differentiated", "invasive", "margins", '"clear"', "and", "papillary"),
)


def generate(path: Path, records: int) -> None:
    """Make a list of records with a question of some twelve words and an answer of forty, as captions have."""
    rng = random.Random(0)

    def words(number: int) -> str:
        return " ".join(rng.choices(WORDS, k=number))

    with path.open("w", encoding="utf-8") as stream:
        for number in range(records):
            talk = [
                {"from": "human", "value": f"<image>\n{words(12)}?"},
                {"from": "gpt", "value": f"{words(25)}.\n{words(15)}."},
            ]
            row = {"id": f"sample-{number}", "image": f"part{number // 1000}/{number}.jpg", "conversations": talk}
            stream.write(f"{', ' if number else '['}{json.dumps(row, ensure_ascii=False)}")
        stream.write("]")


def script(source: Path, out: Path) -> None:
    """Convert as everybody writes it."""
    with source.open(encoding="utf-8") as stream:
        samples = json.load(stream)
    rows, seen = [], set()
    for sample in samples:
        images = [sample["image"]] if "image" in sample else []
        if sample["id"] in seen or sum(turn["value"].count("<image>") for turn in sample["conversations"]) != len(
            images
        ):
            raise ValueError(sample["id"])
        seen.add(sample["id"])
        talk = [{"from": turn["from"], "value": turn["value"]} for turn in sample["conversations"]]
        rows.append({"id": sample["id"], "conversations": talk, "images": images})
    with out.open("w", encoding="utf-8") as stream:
        json.dump(rows, stream, ensure_ascii=False)


def ours(source: Path, out: Path) -> None:
    """Convert as ``pathdata convert`` does."""
    from pathplugins.data_tools.records.convert import convert
    from pathplugins.data_tools.records.request import Request

    done = convert(Request(source=source, out=out, format_name="llava", to="sharegpt", overwrite=True))
    if done.report:
        raise ValueError(done.report)


def alone(source: Path, out: Path) -> None:
    """Convert likewise in one process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ours(source, out)


def parse(source: Path, out: Path) -> None:
    """Objects of the text."""
    from pathplugins.data.formats.reading.json_text import JsonText

    text = JsonText(source, wanted="a list")
    text.peek()
    deque(text.items(), 0)


WAYS: dict[str, Callable[[Path, Path], None]] = {way.__name__: way for way in (script, ours, alone, parse)}


def run_one(name: str, source: Path, small: Path) -> None:
    """Print seconds and bytes of one way, in a process for it alone."""
    out = source.with_name(f"{name}.json")
    processors = os.sched_getaffinity(0)
    WAYS[name](small, out)  # imports
    os.sched_setaffinity(0, processors)
    idle = _largest_child()
    start = time.perf_counter()
    used = peak_bytes(lambda: WAYS[name](source, out))
    spent = time.perf_counter() - start
    others = len(processors) * (_largest_child() - idle) if name == "ours" else 0
    print(spent, used + others)


def _largest_child() -> int:
    """Resident bytes of the largest process this one has forked; one that does nothing is among them."""
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same records."""
    return json.loads(one.read_text(encoding="utf-8")) == json.loads(other.read_text(encoding="utf-8"))


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=3, metavar=("WAY", "SOURCE", "SMALL"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args.one[0], Path(args.one[1]), Path(args.one[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        source, small = Path(folder, "in.json"), Path(folder, "small.json")
        generate(source, args.records)
        generate(small, 50)
        found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
        for _ in range(args.rounds):
            for name, rounds in found.items():
                rounds.append(in_fresh_process("benchmarks.conversion", "--one", name, str(source), str(small)))
        assert same(Path(folder, "script.json"), Path(folder, "ours.json"))
        print(
            f"{args.records} records, {source.stat().st_size / MIB:.0f} MiB, {len(os.sched_getaffinity(0))} processors"
        )
    seconds = {name: [spent for spent, _ in rounds] for name, rounds in found.items()}
    memory = {name: max(used for _, used in rounds) for name, rounds in found.items()}
    print(f"{'way':>8} {'records/s':>10} {'ratio':>6} {'of medians':>10} {'MiB':>7}")
    for name, spent in seconds.items():
        ratios = [of(seconds["script"]) / of(spent) for of in (min, median)]
        rate, used = args.records / min(spent), memory[name] / MIB
        print(f"{name:>8} {rate:>10.0f} {ratios[0]:>6.2f} {ratios[1]:>10.2f} {used:>7.1f}")
    checks = [
        verdict("times the records per second", min(seconds["script"]) / min(seconds["ours"]), FASTER, at_most=False),
        verdict("of the memory", memory["ours"] / memory["script"], MEMORY, at_most=True),
    ]
    print("".join(text for text, _ in checks), end="")
    return int(not all(kept for _, kept in checks))


if __name__ == "__main__":
    sys.exit(main())
