"""``pathplugins classify evaluate``: score a trained run on labelled patches and write a report."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.commands.loading import existing_device
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.hashing import fed
from pathplugins.core.optional import require

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet

PARTS = ("train", "valid", "test")
NEEDED = ("torch", "torchvision", "timm", "torchmetrics", "jinja2")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What the command was asked to do."""

    run: Path
    data: Path
    kind: str | None
    part: str | None
    split: Path | None
    fold: int
    out: Path
    allow_training_data: bool
    device: str
    batch_size: int
    workers: int

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("workers", 0), ("fold", 0)):
            if (number := getattr(self, name)) < least:
                raise PathPluginsError(f"--{name.replace('_', '-')} is {number}, expected {least} or more")
        if self.split is None and self.fold:
            raise PathPluginsError(f"--fold {self.fold} is of no split; name its file with --split")

    @classmethod
    def of(cls, args: argparse.Namespace) -> EvaluateOptions:
        """Take them from the command line; the part of a split is the test part unless one is named."""
        given = {name: getattr(args, name) for name in cls.__dataclass_fields__}
        return cls(**{**given, "part": args.part or ("test" if args.split else None)})

    def settings(self) -> dict[str, Any]:
        """Return what decides the numbers; two evaluations that agree in it may share a folder."""
        return {
            "run": str(self.run.resolve()),
            "run_sha256": _sha256(self.run / "head.safetensors"),
            "data": str(self.data),
            "kind": self.kind,
            "part": self.part,
            "split": None if self.split is None else str(self.split),
            "split_sha256": None if self.split is None else _sha256(self.split),
            "fold": self.fold if self.split else None,
            "allow_training_data": self.allow_training_data,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", type=Path, metavar="RUN", help="directory that `pathplugins classify train` wrote")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="patch set, or the folder of one part")
    parser.add_argument("--kind", metavar="NAME", help="kind of patch set; found from the folder if left out")
    parser.add_argument("--part", choices=PARTS, help="score this part alone; with --split: test if left out")
    parser.add_argument("--split", type=Path, metavar="FILE", help="split file that says which samples are in a part")
    parser.add_argument("--fold", type=int, default=0, metavar="N", help="of the split, from 0; default %(default)s")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for predictions.csv, report.json and report.html"
    )
    parser.add_argument(
        "--allow-training-data", action="store_true", help="score samples and slides that the run was trained on too"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="pictures at once; default %(default)s")
    parser.add_argument(
        "--workers",
        type=int,
        default=min(8, os.cpu_count() or 1),
        metavar="N",
        help="processes that read pictures, 0: this one; default %(default)s",
    )


def run(args: argparse.Namespace) -> int:
    """Check everything, predict, score, write, and print the numbers."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pathplugins").setLevel(logging.INFO)
    require(*NEEDED, extra="patchtcga")
    from pathplugins.classify.runs import load_run
    from pathplugins.classify.scoring.evaluation import PAGE, check_out, evaluate
    from pathplugins.classify.scoring.fit import check_classes, check_unseen
    from pathplugins.classify.scoring.report import summary

    options = EvaluateOptions.of(args)
    trained = load_run(options.run)
    patches = chosen(options)
    settings = options.settings()
    check_classes(trained, patches)
    if not options.allow_training_data:
        check_unseen(trained, patches)
    check_out(options.out, settings)
    report = evaluate(trained, patches, options.out, settings, _pace(options))
    sys.stdout.write(f"{summary(report)}\n{options.out / PAGE}\n")
    return 0


def chosen(options: EvaluateOptions) -> PatchSet:
    """Return the samples that are asked for.

    Raises:
        PathPluginsError: no such part, or a split of other samples.
    """
    from pathplugins.data.patch_sets import read_patch_set
    from pathplugins.data.splits import read_split

    whole = read_patch_set(options.data, options.kind)
    if options.split is not None:
        return read_split(options.split).fold(options.fold).apply(whole)[options.part or "test"]
    return whole.part(options.part) if options.part else whole


def _pace(options: EvaluateOptions) -> Any:
    from pathplugins.classify.scoring.predict import Pace

    device = existing_device(options.device)
    return Pace(device=device, batch_size=options.batch_size, workers=options.workers)


def _sha256(path: Path) -> str:
    return fed(hashlib.sha256(), path).hexdigest()
