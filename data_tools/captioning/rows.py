"""Rows of a patch manifest to be captioned: read, checked, one image each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.records import BadSample, BadSampleReport

from .replies import half_character
from .stages import DESCRIPTION, Stage, check_slots

NAME = "manifest.jsonl"
ORIGINAL = "original"  #: in ``captions``, the caption a row had before any stage
_TYPES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


@dataclass(frozen=True, kw_only=True)
class PatchRow:
    """One row of a manifest: a patch's image and its columns."""

    source: str
    number: int
    """Its line in ``source``, from 1."""
    cells: dict[str, Any]
    image: Path

    def captions(self) -> dict[str, str]:
        """Return earlier captions as stage -> text; the caption that came with the row is ``original``."""
        if earlier := self._by_stage("captions"):
            return earlier
        caption = _text(self.cells.get("caption"))
        return {ORIGINAL: caption} if caption else {}

    def models(self) -> dict[str, str]:
        """Return the models that wrote the earlier captions, as stage -> model."""
        return self._by_stage("models")

    def slots(self) -> dict[str, str]:
        """Return slot -> text for the first stage: every column that holds a text or a number."""
        slots = {name: _text(value) for name, value in self.cells.items()}
        slots[DESCRIPTION] = slots.get("caption", "")
        slots["caption"] = self.captions().get(ORIGINAL, slots[DESCRIPTION])
        return slots

    def _by_stage(self, column: str) -> dict[str, str]:
        value = self.cells.get(column)
        return {str(stage): str(text) for stage, text in value.items()} if isinstance(value, dict) else {}


def manifest_of(path: Path) -> Path:
    """Return the manifest an argument means: the file itself, or ``manifest.jsonl`` in the folder.

    Raises:
        PathPluginsError: there is no such file.
    """
    manifest = path / NAME if path.is_dir() else path
    if not manifest.is_file():
        raise PathPluginsError(
            f"{manifest}: no such file; expected a manifest, as `pathdata pathgen extract` and `select` write it"
            f"{near_path(manifest)}"
        )
    return manifest


def read_rows(manifest: Path) -> Iterator[PatchRow | BadSample]:
    """Yield the rows in their order, without looking at the images; faulty ones as ``BadSample``."""
    for sample in read_samples(manifest):
        if isinstance(sample, BadSample):
            yield sample
            continue
        image = sample.cells.get("image")
        if not isinstance(image, str) or not image:
            detail = f"image is {image!r}, expected the path of a picture, relative to {manifest.parent}"
            yield BadSample(source=sample.source, row=sample.number, reason="no image", detail=detail)
            continue
        yield PatchRow(source=sample.source, number=sample.number, cells=sample.cells, image=manifest.parent / image)


def good_rows(manifest: Path) -> Iterator[PatchRow]:
    """Yield the rows of a manifest that ``check_rows`` has passed."""
    return (row for row in read_rows(manifest) if isinstance(row, PatchRow))


def check_rows(manifest: Path, stages: Sequence[Stage]) -> int:
    """Check every row before the first request; return the number of rows.

    Raises:
        BadSamplesError: rows without a readable JPEG or PNG, or without a text the prompt needs; all in one report.
        PathPluginsError: the manifest has no rows, or a prompt has a slot that no column fills.
    """
    report, columns = BadSampleReport(total=0), dict[str, None]()
    needed = [
        (stage.name, slot)
        for number, stage in enumerate(stages)
        for slot in stage.needs()
        if number == 0 or slot != DESCRIPTION  # later stages get the answer of the one before
    ]
    for row in read_rows(manifest):
        report.total += 1
        if isinstance(row, BadSample):
            report.add([row])
            continue
        columns.update(dict.fromkeys(row.cells))
        if fault := _fault(row, needed):
            report.add([BadSample(source=row.source, row=row.number, reason=fault[0], detail=fault[1])])
    check_slots(stages, columns)
    report.raise_if_any()
    if not report.total:
        raise PathPluginsError(
            f"{manifest} holds no rows; write it again with `pathdata pathgen extract` or `pathdata pathgen select`"
        )
    return report.total


def media_type(data: bytes) -> str | None:
    """Return ``jpeg`` or ``png`` by the first bytes of a file; None for anything else."""
    return next((name for start, name in _TYPES.items() if data.startswith(start)), None)


def image_beside(row: PatchRow, folder: Path) -> str:
    """Return the image path of a row, relative to ``folder``."""
    inside = Path(os.path.realpath(row.image.parent), row.image.name)  # a link to a folder would mislead ``..``
    return Path(os.path.relpath(inside, os.path.realpath(folder))).as_posix()


def _fault(row: PatchRow, needed: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    try:
        with row.image.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        return "missing file" if isinstance(error, FileNotFoundError) else "unreadable file", str(error)
    if media_type(start) is None:
        return (
            "no JPEG or PNG",
            f"{row.image} begins with {start!r}; expected a JPEG or PNG, the formats that servers read",
        )
    slots = row.slots()
    if faulty := [name for name, text in slots.items() if half_character(text)]:
        return "unreadable text", f"{faulty[0]} has half a character, which can be neither sent nor written"
    for stage, slot in needed:
        if not slots.get(slot):
            return f"no {slot}", f"stage {stage} needs {{{slot}}} and this row has none; use a prompt without it"
    return None


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
