"""``pathdata convert``: turn a data set into a training file of another format; features, slides: see there."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import READERS
from pathplugins.data.images import MAX_PIXELS

from ..engine.progress import FAILED, say
from ..records.writers import WRITERS
from .options import read_options

APART = {
    "features": ("convert_features", "turn feature files of other tools into bags"),
    "slides": ("convert_slides", "turn questions about slides into questions about several pictures of each"),
}
"""Words that stand in the place of a format: their module and help; each has options of its own."""


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """Options of the readers; each format has some of them, and None leaves one out."""

    seed: int | None = None
    ids: Path | None = None
    min_words: int | None = None
    requests: Path | None = None
    naming: str | None = None
    split: str | None = None
    subset: str | None = None
    modality: str | None = None
    mode: str | None = None
    labels: Path | None = None
    questions: str | None = None
    min_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """The data set, the file to write, and how rows and images are treated."""

    format: str
    source: Path
    out: Path
    to: str | None = None
    image_folder: Path | None = None
    image_suffix: str | None = None
    max_pixels: int = MAX_PIXELS
    on_bad: Literal["error", "skip"] = "error"
    overwrite: bool = False
    dry_run: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        if self.image_folder is None and self.to is None:
            raise PathPluginsError(
                "--image-folder is missing: pass --image-folder DIR with the images (or --to FORMAT, which needs none)"
            )
        if self.max_pixels <= 0:
            raise PathPluginsError(f"--max-pixels must be above 0, got {self.max_pixels}; the default is {MAX_PIXELS}")
        if self.image_suffix is not None and (self.image_suffix[:1] != "." or "/" in self.image_suffix):
            raise PathPluginsError(f"--image-suffix must begin with a dot, as in .h5; got {self.image_suffix!r}")

    @property
    def format_name(self) -> str:
        """Name of the input format among ``READERS``."""
        return self.format.replace("-", "_")

    @property
    def writer_name(self) -> str | None:
        """Name of the output format among ``WRITERS``; None without ``--to``."""
        return self.to and self.to.replace("-", "_")

    def file(self) -> Path:
        """Return the file to write, named after the input format where ``--out`` is a folder.

        Raises:
            PathPluginsError: the file exists and may not be replaced.
        """
        out = self.out
        if not out.is_file() and (out.is_dir() or not out.suffix):
            out /= f"{self.format_name}{WRITERS.get(self.writer_name or 'xtuner').suffix}"
        if out.exists() and self.source.exists() and out.samefile(self.source):
            raise PathPluginsError(f"--out {out} is the source itself; choose another name")
        if out.exists() and not self.overwrite and not self.dry_run:
            raise PathPluginsError(f"--out {out} exists; pass --overwrite to replace it, or choose another name")
        return out


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.parse_known_args = _apart(sub)  # type: ignore[method-assign]
    sub.epilog = "; ".join(f"pathdata convert {word} -h: {help_text}" for word, (_, help_text) in APART.items())
    names = _dashed(READERS)
    sub.add_argument("format", choices=names, metavar="FORMAT", help=", ".join(names))
    sub.add_argument("source", type=Path, metavar="IN", help="the file of the data set, or a folder of such files")
    sub.add_argument(
        "--to",
        choices=_dashed(WRITERS),
        metavar="FORMAT",
        help=f"the format of --out: {', '.join(_dashed(WRITERS))} (default: xtuner, the JSON lines of LLaVA)",
    )
    sub.add_argument(
        "--image-folder",
        type=Path,
        metavar="DIR",
        help="folder of the images, each of which is checked; path-vqa and patchcamelyon write them into it. Needed "
        "without --to. With --to and without a folder, image paths are copied unchecked, except images that belong to "
        "IN (of pathgen and of patch sets), which are checked and written relative to --out",
    )
    sub.add_argument("--image-suffix", metavar=".EXT", help="replaces the last suffix of every image, e.g. .csv by .h5")
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the training file; FILE.bad.jsonl lists the rows left out. In a folder, or under a name without a "
        "suffix, the file is called FORMAT.json",
    )
    _add_format_options(sub)
    sub.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help="larger images are left out and counted, without stopping the conversion (default %(default)s)",
    )
    sub.add_argument(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="error: write nothing if a row is bad, an image missing, or the output format cannot hold a row; skip: "
        "leave such rows out (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file, or an entry of dataset_info.json")
    sub.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
    sub.add_argument("--json", action="store_true", help="one line of JSON on stdout: written, bad, too_large, out")


def _add_format_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--seed", type=int, help="draws the wording of requests and questions (default 0)")
    sub.add_argument(
        "--ids",
        type=Path,
        metavar="FILE",
        help="keep only the samples listed: one id or file name a line, JSON, or CSV",
    )
    sub.add_argument(
        "--requests",
        type=Path,
        metavar="FILE",
        help="draw what asks for a caption from this list: one request a line, or a JSON list (default: built in)",
    )
    sub.add_argument("--min-words", type=int, help="leave shorter captions out (default 0; PA-LLaVA: 20)")
    sub.add_argument(
        "--naming",
        choices=("slide", "flat"),
        help="file names of the published JSON's pictures (pathgen; default slide)",
    )
    sub.add_argument("--split", help="keep this split (quilt-1m, path-vqa, wsi-csv, patch sets, class-folders)")
    sub.add_argument("--subset", help="keep this subset (quilt-1m)")
    sub.add_argument("--modality", help="keep this modality (pubmedvision), e.g. 'Microscopy Images'")
    sub.add_argument(
        "--mode", choices=("report", "vqa"), help="reports, or questions and answers, of a slide table (default vqa)"
    )
    sub.add_argument(
        "--questions",
        choices=("closed", "open", "both"),
        help="questions with choices, without, or both (ptcga200, pcam200, segpanda200, patchcamelyon; default both)",
    )
    sub.add_argument(
        "--min-share",
        type=float,
        metavar="SHARE",
        help="share of the pixels from which a tissue counts as present (segpanda200; default 0.05)",
    )
    sub.add_argument("--labels", type=Path, metavar="FILE", help="JSON, class -> label (class-folders)")


def run(args: argparse.Namespace) -> int:
    """Convert the data set; returns the exit code."""
    from ..records.convert import convert
    from ..records.request import Request

    options = read_options(args, ConvertOptions)
    out = options.file()
    done = convert(
        Request(
            source=options.source,
            out=out,
            format_name=options.format_name,
            to=options.writer_name,
            image_folder=options.image_folder,
            image_suffix=options.image_suffix,
            options=vars(read_options(args, FormatOptions)),
            max_pixels=options.max_pixels,
            on_bad=options.on_bad,
            overwrite=options.overwrite,
            dry_run=options.dry_run,
        )
    )
    if done.report:
        say(done.report)
    if options.json:
        counts = {"written": done.written, "bad": done.bad, "too_large": done.too_large, "out": str(out)}
        sys.stdout.write(f"{json.dumps(counts)}\n")
    if not done.written:
        advice = "correct these rows, or pass --on-bad skip" if done.bad else "no row is left"
        say(f"nothing was written; {advice}")
        return FAILED
    samples = f"{counted(done.written, 'sample')}" + (" (a dry run, nothing was written)" if options.dry_run else "")
    say(f"{out}: {samples}; left out: {done.bad} bad, {done.too_large} above {options.max_pixels} pixels")
    return 0


def _apart(sub: argparse.ArgumentParser) -> Callable[..., Any]:
    """Return a ``parse_known_args`` that loads the module of ``convert features`` or ``slides`` for that word alone."""
    parse = sub.parse_known_args

    def parse_known_args(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        if not args or args[0] not in APART:
            return parse(args, namespace)
        name, help_text = APART[args[0]]
        module = importlib.import_module(f".{name}", __package__)
        own = type(sub)(prog=f"{sub.prog} {args[0]}", description=help_text)
        module.add_options(own)
        own.set_defaults(run=module.run)
        return own.parse_known_args(args[1:], namespace)

    return parse_known_args


def _dashed(names: Iterable[str]) -> list[str]:
    return [name.replace("_", "-") for name in names]
