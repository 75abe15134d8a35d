"""Score all pairs of a file into a table; nothing is left out of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.nearest import near_path
from pathplugins.data.formats.reading.assembly import Places, folders_for
from pathplugins.data.records import BadSample

from ..engine.progress import bars
from ..records.report import BadRows
from .examined import Examined, format_and_path, read_examined
from .leaks import decode
from .pairs import Pair, read_pairs
from .parts import write_parts
from .rules import Thresholds, reasons
from .table import FLAT, scores_of, write_table

TABLE, BAD, RUN, PARTS = "scores.csv", "bad.jsonl", "run.json", "parts"
"""What a folder of a cleaning holds; the parts go when the table is there."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The outcome."""

    pairs: int
    kept: int
    """Pairs without any reason against them."""
    counts: dict[str, int]
    """Pairs by reason; one pair may count for several."""
    crowded: int
    """Captions that met too many similar ones to be compared with all."""
    report: str
    """Of bad rows; empty without any."""
    unseen: str
    """What of the evaluation sets could not be compared; empty if all was."""


def score(
    source: Path,
    format_name: str,
    out: Path,
    limits: Thresholds,
    *,
    images: Path | None,
    against: Sequence[str] = (),
    workers: int,
) -> Scored:
    """Write the table ``out/scores.csv``, and ``out/bad.jsonl`` for the rows that are no pairs.

    With a folder of images each is decoded, and compared with all others; images are looked for there, then beside the
    file. ``against`` names evaluation sets (`read_examined`).

    A killed run goes on where it was: the same call reads the file again, and scores only what has no part yet.

    Raises:
        PathPluginsError: the source cannot be used or holds no pair, or ``out`` belongs to other data.
    """
    begin(source, format_name, out, images, against)
    examined = read_examined(against, images) if against else None
    locate = images and Places(folders_for(source, images)).locate
    with BadRows(out / BAD) as bad:
        total = 0

        def good() -> Iterator[Pair]:
            for item in read_pairs(source, format_name):
                if isinstance(item, BadSample):
                    bad.add([item])
                else:
                    yield item

        with bars() as bar:
            task = bar.add_task("scored", total=None, unit="pairs")
            for done in write_parts(good(), out / PARTS, workers, locate):
                total += done
                bar.advance(task, done)
        report = bad.text(total)
    if not total:
        raise PathPluginsError(
            f"{report or f'{source} holds no row'}\n{source} holds no image-caption pair of the format "
            f"{format_name.replace('_', '-')}; name its format with --format"
        )
    theirs = decode(examined.files, workers, FLAT) if examined and images else None
    joined = scores_of(out / PARTS, examined, theirs)
    found = reasons(joined.scores, limits)
    write_table(out / TABLE, out / PARTS, joined, found)
    shutil.rmtree(out / PARTS)
    counts = {name: int(flags.sum()) for name, flags in found.items()}
    kept = int(total - sum(found.values()).astype(bool).sum())
    unseen = [f"{counted(rows, 'row')} of {name} cannot be read" for name, rows in (examined or Examined()).bad.items()]
    if theirs is not None and theirs.missing:
        unseen.append(f"{theirs.missing} of {counted(len(examined.files), 'image')} of evaluation sets cannot be used")
    return Scored(
        pairs=total, kept=kept, counts=counts, crowded=joined.crowded, report=report, unseen="; ".join(unseen)
    )


def begin(source: Path, format_name: str, out: Path, images: Path | None, against: Sequence[str]) -> None:
    """Make the folder of a cleaning, or find it as an earlier run of the same data left it.

    Raises:
        PathPluginsError: no source, no folder of images, or the folder holds other things, or the table.
    """
    if images is not None and not images.is_dir():
        raise PathPluginsError(
            f"--image-folder {images}: no such folder; name the folder with the images{near_path(images)}"
        )
    tests = [fingerprint(format_and_path(name)[1]) for name in against]
    run = {
        "format": format_name,
        "images": images and str(images.resolve()),
        "against": tests,
        **fingerprint(source),
    }
    if (out / RUN).is_file():
        if (before := read_json(out / RUN)) != run:
            changed = ", ".join(name for name in run if before.get(name) != run[name])
            raise PathPluginsError(f"{out} is of other data ({changed} differs); choose another --out or remove it")
        if (out / TABLE).is_file():
            raise PathPluginsError(
                f"{out / TABLE} exists; apply thresholds with --apply, or remove {out} to score anew"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PathPluginsError(f"{out} exists and is no folder of a cleaning; choose another --out or remove it")
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    write_json(out / RUN, run)


def check_same(source: Path, folder: Path) -> None:
    """Check that a folder of a cleaning is of this source as it is now; one without `RUN` is taken on trust.

    Raises:
        PathPluginsError: it is of another file, or the file has changed since.
    """
    if (folder / RUN).is_file():
        before, now = read_json(folder / RUN), fingerprint(source)
        if changed := [name for name in ("bytes", "changed_ns") if before.get(name) != now[name]]:
            raise PathPluginsError(
                f"{source} is not what {folder} scored, {before.get('source')} as it was then ({', '.join(changed)} "
                "differ); score it again"
            )


def fingerprint(source: Path) -> dict[str, str | int]:
    """Return what tells one state of a file from another."""
    if not source.exists():
        raise PathPluginsError(f"{source}: no such file; give the file of the pairs")
    stat = source.stat()
    return {"source": str(source.resolve()), "bytes": stat.st_size, "changed_ns": stat.st_mtime_ns}
