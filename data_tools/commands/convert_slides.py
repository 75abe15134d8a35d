"""``pathdata convert slides``: questions about slides to questions about several pictures of each, for stock models."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import READERS

from ..engine.progress import FAILED, say
from .options import read_options
from .options.engine import EngineOptions, add_engine_options

if TYPE_CHECKING:
    from ..slide_images.samples import Samples

LABELS = "labels"
WORK = "slide_pictures"
"""Folder beside the output: pictures and state, in a folder for each choice of patches."""
TARGETS = ("sharegpt-images",)
TOKENS_OF_A_PICTURE = 256
"""Of Gemma 3; Qwen's take fewer for patches of 256 pixels."""


@dataclass(frozen=True, kw_only=True)
class SlidesOptions:
    """The samples, the patches, and how a slide becomes pictures."""

    source: Path
    patches: Path
    out: Path
    to: str = TARGETS[0]
    format: str = "wsi-csv"
    bags: Path | None = None
    slides_folder: Path | None = None
    per_slide: int = 16
    select: Literal["spatial", "kmeans"] = "spatial"
    positions: Literal["none", "mm", "normalised"] = "none"
    seed: int = 0
    quality: int = 90
    on_bad: Literal["error", "skip"] = "error"
    split: str | None = None
    mode: str | None = None
    question: str | None = None
    choices: str | None = None
    slide_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        of_labels = ("question", "choices", "slide_column", "label_column")
        wrong = ("split", "mode") if self.format == LABELS else of_labels
        if given := [f"--{name.replace('_', '-')}" for name in wrong if getattr(self, name) is not None]:
            raise PathPluginsError(f"{', '.join(given)}: not an option of --from {self.format}; leave it out")
        if self.select == "spatial" and self.bags is not None and (self.patches / "coords").is_dir():
            raise PathPluginsError(
                f"--bags is for --select kmeans: --select spatial takes the positions in {self.patches / 'coords'}; "
                "leave --bags out"
            )

    def file(self, *, overwrite: bool) -> Path:
        """Return the file to write.

        Raises:
            PathPluginsError: it exists and may not be replaced, or is named unlike JSON.
        """
        out = self.out / "slides.json" if self.out.is_dir() or not self.out.suffix else self.out
        if out.suffix not in (".json", ".jsonl"):
            raise PathPluginsError(f"--out {out} is neither .json nor .jsonl; choose such a name, or a folder")
        if out.exists() and not overwrite:
            raise PathPluginsError(f"--out {out} exists; pass --overwrite to replace it, or choose another name")
        return out


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    names = [name.replace("_", "-") for name in READERS]
    sub.add_argument("source", type=Path, metavar="IN", help="questions and answers about slides, or labels of slides")
    sub.add_argument(
        "--from",
        dest="format",
        choices=(LABELS, *names),
        default="wsi-csv",
        metavar="FORMAT",
        help=f"{LABELS} (a table of slides and labels, each asked --question), or a format whose images are slides: "
        f"{', '.join(names)} (default %(default)s)",
    )
    sub.add_argument("--to", choices=TARGETS, default=TARGETS[0], help="ShareGPT with several pictures a slide")
    sub.add_argument(
        "--patches", type=Path, required=True, metavar="DIR", help="the --out of pathdata patch or run, or bags"
    )
    sub.add_argument("--bags", type=Path, metavar="DIR", help="folder of the bags, if not DIR/bags (kmeans)")
    sub.add_argument(
        "--slides", dest="slides_folder", type=Path, metavar="FOLDER", help="where the slides are, if they moved"
    )
    sub.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=f"the samples (.json, .jsonl); pictures go to {WORK}/"
    )
    sub.add_argument("--per-slide", type=int, default=16, metavar="K", help="pictures a slide (default %(default)s)")
    sub.add_argument(
        "--select",
        choices=("spatial", "kmeans"),
        default="spatial",
        help="spatial: patches even over the tissue; kmeans: of each cluster of the bag's features the patch nearest "
        "to its centre (default %(default)s)",
    )
    sub.add_argument(
        "--positions",
        choices=("none", "mm", "normalised"),
        default="none",
        help="write into the text where each patch is: millimetres from the top-left corner, or shares of width and "
        "height (default %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=0, help="of kmeans, and of the order of choices (default %(default)s)")
    sub.add_argument("--quality", type=int, default=90, metavar="Q", help="JPEG quality (default %(default)s)")
    sub.add_argument(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="error: write no samples if a row or slide is bad; skip: leave such rows out (default %(default)s)",
    )
    sub.add_argument("--split", help="keep this split (formats that have one)")
    sub.add_argument("--mode", choices=("report", "vqa"), help="reports, or questions and answers (wsi-csv)")
    sub.add_argument("--question", help=f"what every slide is asked ({LABELS}; default: What is the diagnosis?)")
    sub.add_argument(
        "--choices", metavar="auto|none|A|B|...", help=f"all labels, an open question, or these ({LABELS}; auto)"
    )
    sub.add_argument("--slide-column", metavar="NAME", help=f"column of the slide ({LABELS})")
    sub.add_argument("--label-column", metavar="NAME", help=f"column of the label ({LABELS})")
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Choose and write the pictures, then the samples; returns the exit code."""
    from ..slide_images.convert import convert_slides
    from ..slide_images.pictures import PicturesRecipe

    options, engine = read_options(args, SlidesOptions), read_options(args, EngineOptions)
    out = options.file(overwrite=engine.overwrite or engine.dry_run)
    recipe = PicturesRecipe(
        command="convert-slides",
        work=out.parent / WORK / f"{options.select}_{options.per_slide}",
        overwrite=engine.overwrite,
        patches=options.patches,
        per_slide=options.per_slide,
        select=options.select,
        seed=options.seed,
        quality=options.quality,
    )
    done = convert_slides(
        _samples(options),
        recipe,
        engine,
        out,
        bags=options.bags,
        slides_folder=options.slides_folder,
        positions=options.positions,
        on_bad=options.on_bad,
    )
    if engine.dry_run:
        say(f"{out}: {counted(done.written, 'sample')} would be written")
        return 0
    if engine.json:
        counts = {"written": done.written, "bad": done.bad, "slides": done.slides, "most_pictures": done.most}
        sys.stdout.write(f"{json.dumps(counts | {'out': str(out)})}\n")
    if not done.written:
        say(f"no samples were written; {'correct these rows, or pass --on-bad skip' if done.bad else 'no row is left'}")
        return FAILED
    say(f"{out}: {counted(done.written, 'sample')} about {counted(done.slides, 'slide')}; left out: {done.bad} bad")
    say(
        f"in a YAML: dataset_dir: {out.parent}, dataset: {out.stem}; up to {counted(done.most, 'picture')} a sample, "
        f"{done.most * TOKENS_OF_A_PICTURE:,} tokens in MedGemma: set cutoff_len above that"
    )
    return 0


def _samples(options: SlidesOptions) -> Samples:
    from ..slide_images.samples import Asked, read_labelled, read_records

    if options.format != LABELS:
        given = {"split": options.split, "mode": options.mode}
        return read_records(options.source, options.format.replace("-", "_"), given)
    texts = {"question": options.question, "choices": options.choices}
    columns = {"slide_column": options.slide_column, "label_column": options.label_column}
    asked = {name: value for name, value in (texts | columns).items() if value is not None}
    return read_labelled(options.source, Asked(seed=options.seed, **asked))
