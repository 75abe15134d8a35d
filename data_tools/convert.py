"""Conversion: a data set as it was published becomes one file of LLaVA JSON lines, its images checked."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import inspect_bag
from pathplugins.data.formats import FORMATS
from pathplugins.data.images import MAX_PIXELS, check_image
from pathplugins.data.records import BadSample, BadSampleReport, Record, check_images

from .outputs import replacing

TOO_LARGE = "too many pixels"  #: the reason ``check_image`` gives

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of a data set."""

    written: int
    """Samples in the output; 0 if bad rows stopped it."""
    too_large: int
    """Rows left out for the size of an image."""
    bad: int
    """Rows that are wrong in any other way."""
    report: str
    """All of the rows left out, by reason, the first few with their place; empty if there are none."""


def convert(
    source: Path,
    out: Path,
    *,
    format_name: str,
    image_folder: Path,
    options: dict[str, Any],
    max_pixels: int = MAX_PIXELS,
    on_bad: Literal["error", "skip"] = "error",
) -> Conversion:
    """Read a data set, look at every image once, and write ``out`` whole or not at all.

    A line is ``{"id", "image", "conversations"}``: ``image`` is relative to ``image_folder`` if it lies in it, a list
    if there are several, and absent if there is none. Rows left out are in ``<out>.bad.jsonl``. Images are judged by
    their headers; those above ``max_pixels`` are left out and never stop the conversion, as in the published step.

    Args:
        source: What the reader of the format takes.
        out: The JSON lines.
        format_name: A name of ``FORMATS``.
        image_folder: Where relative images are looked for first; then beside ``source``.
        options: For the reader; those that are None are not passed.
        max_pixels: Width times height an image may have.
        on_bad: ``error`` writes nothing if a row is bad, ``skip`` leaves it out.
    """
    reader = FORMATS.get(format_name)
    options = _fitting(reader, format_name, options)
    if not image_folder.is_dir() and "extract_images" not in options:
        raise PathPluginsError(f"--image-folder {image_folder}: no such folder; expected the one with the images")
    records, bad = reader(source, media_dir=image_folder, **options)
    failures = _check(records, max_pixels)
    large = [sample for sample in failures if sample.reason == TOO_LARGE]
    bad += [sample for sample in failures if sample.reason != TOO_LARGE]
    left_out = sorted([*bad, *large], key=lambda sample: (sample.source, sample.row or 0))
    rows, bad_rows = _places(left_out), _places(bad)
    good = [record for record in records if (record.source, record.row) not in rows]
    report = BadSampleReport(total=len(good) + len(rows), bad=left_out)
    beside = out.with_name(f"{out.name}.bad.jsonl")
    if rows:
        report.write(beside)
    else:
        beside.unlink(missing_ok=True)  # of an earlier run
    stopped = bool(bad) and on_bad == "error"
    if good and not stopped:
        _write(good, out, image_folder)
    return Conversion(
        written=0 if stopped else len(good),
        too_large=len(rows) - len(bad_rows),
        bad=len(bad_rows),
        report=f"{report.text()}\nAll of them: {beside}" if rows else "",
    )


def _fitting(reader: Callable[..., Any], format_name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, if the format has them all."""
    known = inspect.signature(reader).parameters
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := [name for name in given if name not in known]:
        has = ", ".join(f"--{name.replace('_', '-')}" for name in options if name in known) or "no such options"
        wrong = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
        raise PathPluginsError(f"{wrong}: not an option of {format_name.replace('_', '-')}, which has {has}")
    return {**given, "extract_images": True} if "extract_images" in known else given


def _check(records: list[Record], max_pixels: int) -> list[BadSample]:
    """Look at every image and bag in threads, from metadata alone."""
    look_at_image = functools.partial(check_image, max_pixels=max_pixels, decode=False)
    images = {image for record in records for image in record.images}
    with tqdm(total=len(images), unit="image", disable=None) as bar:

        def look(path: str) -> None:
            try:
                inspect_bag(path) if path.endswith(".h5") else look_at_image(path)
            finally:
                bar.update()

        return check_images(records, look)


def _places(samples: list[BadSample]) -> set[tuple[str, int | None]]:
    return {(sample.source, sample.row) for sample in samples}


def _write(records: list[Record], out: Path, image_folder: Path) -> None:
    inside = f"{image_folder.absolute()}{os.sep}"
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            images = [image.removeprefix(inside) for image in record.images]
            line = {
                "id": record.id,
                **({"image": images[0] if len(images) == 1 else images} if images else {}),
                "conversations": [{"from": _SPEAKERS[turn.role], "value": turn.text} for turn in record.conversations],
            }
            stream.write(f"{json.dumps(line, ensure_ascii=False)}\n")
