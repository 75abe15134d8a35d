"""``pathdata clean``: score image-caption pairs, and write those that pass thresholds or stand on a published list."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError

from ..cleaning.pairs import FORMATS
from ..cleaning.rules import Thresholds
from ..engine.progress import say
from .options import read_options


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """The pairs, what is done with them, and where it goes."""

    source: Path
    out: Path
    format: str = "pallava-captions"
    apply: Path | None = None
    index: Path | None = None
    image_folder: Path | None = None
    against: list[str] | None = None
    workers: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.apply is not None and self.index is not None:
            raise PathPluginsError("--apply and --index are two ways to choose pairs; give one of them")
        for name in ("image_folder", "against"):
            if getattr(self, name) is not None and (self.apply or self.index):
                raise PathPluginsError(
                    f"--{name.replace('_', '-')} is for scoring; leave it out with --apply and --index"
                )
        if self.workers is not None and self.workers < 1:
            raise PathPluginsError(f"--workers must be 1 or more, got {self.workers}")

    @property
    def format_name(self) -> str:
        """Name of the format among ``READERS``."""
        return self.format.replace("-", "_")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("source", type=Path, metavar="PAIRS", help="a file of pairs: .json, .jsonl, .csv or .tsv")
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="new folder for scores.csv and bad.jsonl; with --apply or --index the file of the pairs kept, or a folder "
        "in which it has the name of PAIRS",
    )
    names = [name.replace("_", "-") for name in FORMATS]
    sub.add_argument(
        "--format",
        choices=names,
        default=names[0],
        metavar="FORMAT",
        help=f"of PAIRS, as pathdata convert calls it: {', '.join(names)} (default %(default)s: image and caption)",
    )
    sub.add_argument(
        "--image-folder",
        type=Path,
        metavar="DIR",
        help="decode every image, looked for here and then beside PAIRS, and find those that show the same: turned, "
        "mirrored, cropped by a twentieth, compressed again (default: images are told apart by name)",
    )
    sub.add_argument(
        "--against",
        nargs="+",
        metavar="FILE",
        help="evaluation sets whose texts and images must not be trained on: FILE, or FORMAT:FILE with a format of "
        "pathdata convert; with --image-folder their images are looked for there and beside FILE, and compared too",
    )
    sub.add_argument(
        "--apply", type=Path, metavar="FILE", help="write the pairs that pass the thresholds, from this scores.csv"
    )
    sub.add_argument(
        "--index",
        type=Path,
        metavar="FILE",
        help="write exactly the pairs whose image is on this list: one name a line, a JSON list or a table; "
        "a file beside them names those that no pair has",
    )
    usual = Thresholds()
    sub.add_argument("--min-words", type=int, default=usual.min_words, help="words of a caption (default %(default)s)")
    for name, text in (
        ("min_english", "least share of English (default %(default)s)"),
        ("max_digits", "largest share of digits in a caption (default %(default)s)"),
        ("max_reference", "largest share of a caption that cites (default %(default)s)"),
    ):
        option = f"--{name.replace('_', '-')}"
        sub.add_argument(option, type=float, default=getattr(usual, name), metavar="SHARE", help=text)
    sub.add_argument(
        "--species",
        choices=("subject", "any", "keep"),
        default=usual.species,
        help="leave out captions in which another species reads like the subject (mouse liver), any that name one, or "
        "none (default %(default)s)",
    )
    for name, kind, text in (
        ("min_side", int, "pixels of the shorter side of an image (default %(default)s)"),
        ("min_spread", float, "standard deviation of an image's grey values (default %(default)s)"),
        ("min_gradient", float, "mean difference of neighbouring grey values, low if blurred (default %(default)s)"),
    ):
        sub.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(usual, name), help=text)
    sub.add_argument(
        "--repeats",
        choices=("image", "pair", "caption", "none"),
        default=usual.repeats,
        help="of pairs with the same image, with the same image and nearly the same caption, or with nearly the same "
        "caption, keep the one with the longest caption (default %(default)s)",
    )
    sub.add_argument("--keep-leaks", action="store_true", help="keep what evaluation sets hold")
    sub.add_argument("--workers", type=int, metavar="N", help="processes that score (default: one for each core)")
    sub.add_argument("--overwrite", action="store_true", help="replace the file of the pairs kept")


def run(args: argparse.Namespace) -> int:
    """Score or choose pairs; returns the exit code."""
    options, limits = read_options(args, CleanOptions), read_options(args, Thresholds)
    if options.index is not None:
        return _keep_listed(options, options.index)
    if options.apply is not None:
        return _apply(options, options.apply, limits)
    return _score(options, limits)


def _score(options: CleanOptions, limits: Thresholds) -> int:
    from ..cleaning.score import TABLE, score

    workers = options.workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    done = score(
        options.source,
        options.format_name,
        options.out,
        limits,
        images=options.image_folder,
        against=options.against or (),
        workers=workers or 1,
    )
    if done.report:
        say(done.report)
    if done.unseen:
        say(f"warning: leaks may be missed: {done.unseen}")
    if done.crowded:
        say(
            f"warning: {counted(done.crowded, 'comparison')} left out, of captions that share a key with more than 64 "
            "different ones: near repeats among captions of one template may be missed"
        )
    say(_counts_text(done.counts))
    say(f"{options.out / TABLE}: {counted(done.pairs, 'pair')}, {done.kept} without a reason against them")
    return 0


def _apply(options: CleanOptions, table: Path, limits: Thresholds) -> int:
    import numpy as np

    from ..cleaning.kept_rows import out_file, write_rows
    from ..cleaning.rules import reasons
    from ..cleaning.score import check_same
    from ..cleaning.table import read_table

    out = out_file(options.source, options.out, overwrite=options.overwrite)
    check_same(options.source, table.parent)
    scores = read_table(table)
    found = reasons(scores, limits)
    kept = ~np.logical_or.reduce([*found.values()])
    written = write_rows(options.source, scores.row[kept], out)
    say(_counts_text({name: int(flags.sum()) for name, flags in found.items()}))
    say(f"{out}: {written} of {counted(len(kept), 'pair')}")
    return 0


def _keep_listed(options: CleanOptions, index: Path) -> int:
    from ..cleaning.kept_rows import out_file
    from ..cleaning.published import NOT_FOUND, SEVERAL, beside, keep_listed

    out = out_file(options.source, options.out, overwrite=options.overwrite)
    done = keep_listed(options.source, options.format_name, index, out)
    if done.report:
        say(done.report)
    if done.not_found:
        names = ", ".join(done.not_found[:3]) + (", ..." if len(done.not_found) > 3 else "")
        say(f"{len(done.not_found)} of {done.listed} names are of no pair: {names}; all: {beside(out, NOT_FOUND)}")
    if done.several:
        say(f"{counted(done.several, 'name')} of several pairs, all kept: {beside(out, SEVERAL)}")
    say(f"{out}: {counted(done.written, 'pair')} of {done.listed - len(done.not_found)} of {done.listed} listed names")
    return 0


def _counts_text(counts: dict[str, int]) -> str:
    return "against pairs: " + ", ".join(f"{count} x {name}" for name, count in counts.items())
