"""Pairs: the rows of a manifest, one image each, as they are captioned."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.records import BadSample, BadSampleReport

from .replies import half_character
from .stages import DESCRIPTION, Stage, check_slots

NAME = "manifest.jsonl"
ORIGINAL = "original"  #: in ``captions``, the caption a row had before any stage
_TYPES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One row."""

    source: str
    row: int
    """Its line."""
    cells: dict[str, Any]
    image: Path

    def captions(self) -> dict[str, str]:
        """What was said of it before: stage -> text, and the caption it came with as ``original``."""
        if earlier := self._by_stage("captions"):
            return earlier
        caption = _text(self.cells.get("caption"))
        return {ORIGINAL: caption} if caption else {}

    def models(self) -> dict[str, str]:
        """Who said what was said before: stage -> model."""
        return self._by_stage("models")

    def slots(self) -> dict[str, str]:
        """Slot -> text, for the first stage: every column that has a text or a number."""
        slots = {name: _text(value) for name, value in self.cells.items()}
        slots[DESCRIPTION] = slots.get("caption", "")
        slots["caption"] = self.captions().get(ORIGINAL, slots[DESCRIPTION])
        return slots

    def _by_stage(self, column: str) -> dict[str, str]:
        value = self.cells.get(column)
        return {str(stage): str(text) for stage, text in value.items()} if isinstance(value, dict) else {}


def manifest_of(path: Path) -> Path:
    """The manifest that an argument means: the file itself, or the one in the folder."""
    manifest = path / NAME if path.is_dir() else path
    if not manifest.is_file():
        raise PathPluginsError(f"{manifest}: no such file; expected a manifest, as extract and select write it")
    return manifest


def read_pairs(manifest: Path) -> Iterator[Pair | BadSample]:
    """The rows in their order, images not looked at."""
    for sample in read_samples(manifest):
        if isinstance(sample, BadSample):
            yield sample
            continue
        image = sample.cells.get("image")
        if not isinstance(image, str) or not image:
            detail = f"image is {image!r}, expected the path of a picture, relative to {manifest.parent}"
            yield BadSample(source=sample.source, row=sample.number, reason="no image", detail=detail)
            continue
        yield Pair(source=sample.source, row=sample.number, cells=sample.cells, image=manifest.parent / image)


def good_pairs(manifest: Path) -> Iterator[Pair]:
    """The rows of a manifest that ``checked_pairs`` has passed."""
    return (pair for pair in read_pairs(manifest) if isinstance(pair, Pair))


def checked_pairs(manifest: Path, stages: Sequence[Stage]) -> int:
    """Look at every row before anything is asked; returns their number.

    Raises:
        BadSamplesError: rows without a readable JPEG or PNG or without the text a prompt needs, all in one report.
        PathPluginsError: no rows, or a slot that nothing fills.
    """
    report, columns = BadSampleReport(total=0), dict[str, None]()
    needed = [
        (stage.name, slot)
        for number, stage in enumerate(stages)
        for slot in stage.needs()
        if number == 0 or slot != DESCRIPTION  # later ones get what the stage before said
    ]
    for pair in read_pairs(manifest):
        report.total += 1
        if isinstance(pair, BadSample):
            report.add([pair])
            continue
        columns.update(dict.fromkeys(pair.cells))
        if fault := _fault(pair, needed):
            report.add([BadSample(source=pair.source, row=pair.row, reason=fault[0], detail=fault[1])])
    check_slots(stages, columns)
    report.raise_if_any()
    if not report.total:
        raise PathPluginsError(f"{manifest} holds no rows")
    return report.total


def media_type(data: bytes) -> str | None:
    """``jpeg`` or ``png`` by how a file begins; None for anything else."""
    return next((name for start, name in _TYPES.items() if data.startswith(start)), None)


def image_beside(pair: Pair, folder: Path) -> str:
    """The image path of a row in a file that lies in ``folder``."""
    inside = Path(os.path.realpath(pair.image.parent), pair.image.name)  # a link to a folder would mislead ``..``
    return Path(os.path.relpath(inside, os.path.realpath(folder))).as_posix()


def _fault(pair: Pair, needed: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    try:
        with pair.image.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        return "missing file" if isinstance(error, FileNotFoundError) else "unreadable file", str(error)
    if media_type(start) is None:
        return "no JPEG or PNG", f"{pair.image} begins with {start!r}; expected a JPEG or PNG, which servers read"
    slots = pair.slots()
    if faulty := [name for name, text in slots.items() if half_character(text)]:
        return "unreadable text", f"{faulty[0]} has half a character, which can be neither sent nor written"
    for stage, slot in needed:
        if not slots.get(slot):
            return f"no {slot}", f"stage {stage} needs {{{slot}}} and this row has none; use a prompt without it"
    return None


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
