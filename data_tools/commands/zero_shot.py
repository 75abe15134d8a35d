"""``pathdata zero-shot``: classify images with a CLIP and words alone."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.records import first_shown

from ..clip.model import Clip, load_clip
from ..clip.zero_shot import TEMPLATE, Prediction, Score, class_features, classify, find_pictures, read_labels
from ..engine.progress import FAILED, say
from .options import read_options
from .options.models import ClipOptions, add_clip_options


@dataclass(frozen=True, kw_only=True)
class ZeroShotOptions:
    """Images, classes, and where the probabilities go; `ClipOptions` say by which CLIP."""

    images: list[Path]
    """Files and folders."""
    labels: str
    """Classes with commas between, or a JSON file."""
    out: Path
    template: list[str] | None = None
    """Sentences with ``{}`` for classes without prompts; None: `TEMPLATE`."""
    batch_size: int = ClipOptions.batch_size
    readers: int = 4
    """Threads that read images."""
    json: bool = False
    """Print the score as JSON."""

    def __post_init__(self) -> None:
        for option, value in (("--batch-size", self.batch_size), ("--readers", self.readers)):
            if value < 1:
                raise PathPluginsError(f"{option} must be at least 1, got {value}")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `ZeroShotOptions` and `ClipOptions`."""
    sub.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="files, or folders; a folder of classes is scored"
    )
    sub.add_argument(
        "--labels",
        required=True,
        metavar="JSON|A,B",
        help="classes with commas, or a JSON file of classes with prompts",
    )
    sub.add_argument("--out", type=Path, required=True, metavar="JSONL", help="gets the probabilities, a line an image")
    sub.add_argument(
        "--template",
        action="append",
        help=f'sentence with {{}} for a class without prompts; may be repeated (default "{TEMPLATE}")',
    )
    sub.add_argument(
        "--readers", type=int, default=ZeroShotOptions.readers, help="threads that read images (default %(default)s)"
    )
    sub.add_argument("--json", action="store_true", help="print the score as JSON on stdout")
    add_clip_options(sub)


def run(args: argparse.Namespace) -> int:
    """Classify the images and write their probabilities; returns the exit code."""
    options, clip_options = read_options(args, ZeroShotOptions), read_options(args, ClipOptions)
    labels = read_labels(options.labels, options.template or [TEMPLATE])
    pictures = find_pictures(options.images, [*labels])
    clip = load_clip(clip_options.choice())
    _warn_of_long_prompts(clip, [text for prompts in labels.values() for text in prompts])
    names, score, faults = [*labels], Score(), []
    classes = class_features(clip, labels)
    with replacing(options.out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        for found in classify(clip, pictures, classes, batch_size=options.batch_size, readers=options.readers):
            if found.probabilities is None:
                faults.append(found.fault)
                continue
            row = _row(found, names)
            out.write(f"{json.dumps(row, ensure_ascii=False)}\n")
            if found.picture.truth is not None:
                score.add(found.picture.truth, row["label"])
    say(f"{options.out}: {counted(len(pictures) - len(faults), 'image')}")
    _report(score, as_json=options.json)
    if faults:
        say(f"{len(faults)} of {len(pictures)} images cannot be read:\n{first_shown(faults)}")
    return FAILED if faults else 0


def _warn_of_long_prompts(clip: Clip, texts: list[str]) -> None:
    """Say how many prompts the model reads only in part."""
    if cut := clip.cut(texts):
        say(f"{len(cut)} of {len(texts)} prompts are longer than the model reads, and are cut: {cut[0][:60]}...")


def _row(found: Prediction, names: list[str]) -> dict[str, object]:
    """Return a picture's line of the result file."""
    odds = {name: round(float(odd), 6) for name, odd in zip(names, found.probabilities, strict=True)}
    row = {"image": str(found.picture.path), "label": names[int(found.probabilities.argmax())], "probabilities": odds}
    return row if found.picture.truth is None else {**row, "truth": found.picture.truth}


def _report(score: Score, *, as_json: bool) -> None:
    """Print the score, if folders named the true classes."""
    if not score.of_class:
        if as_json:
            sys.stdout.write("{}\n")
        return
    if as_json:
        per_class = {name: score.right[name] / count for name, count in sorted(score.of_class.items())}
        whole = {"accuracy": score.accuracy, "balanced_accuracy": score.balanced_accuracy, "classes": per_class}
        sys.stdout.write(f"{json.dumps(whole)}\n")
        return
    for name, count in sorted(score.of_class.items()):
        say(f"  {name}: {score.right[name]} of {count} right")
    say(f"accuracy {score.accuracy:.4f}, balanced accuracy {score.balanced_accuracy:.4f}")
