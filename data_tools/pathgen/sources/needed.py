"""The slides that a JSON of PathGen needs, and their files at the GDC."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data.pathgen import Seen, read_placed, slide_key
from pathplugins.data.records import BadSample

from ...records.report import BadRows
from .gdc import GdcFile, is_uuid, look_up


@dataclass(kw_only=True)
class NeededSlide:
    """A slide with patches to cut."""

    wsi_id: str
    """As it is first spelled."""
    patches: int = 0
    file_ids: set[str] = field(default_factory=set)
    """UUIDs of its file, in lower case, as far as rows have one; more than one if they differ."""


@dataclass(kw_only=True)
class NeededSlides:
    """All of them, by ``slide_key``."""

    slides: dict[str, NeededSlide] = field(default_factory=dict)
    patches: int = 0
    repeats: int = 0
    """Rows that say what another one says, which are not counted."""

    def counts(self, keys: Collection[str]) -> dict[str, int]:
        """Patches by id, of some slides."""
        return {self.slides[key].wsi_id: self.slides[key].patches for key in keys}


@dataclass(kw_only=True)
class Found:
    """What became of the slides that were looked for, by ``slide_key``."""

    files: dict[str, GdcFile] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why the file of a slide cannot be had, where something is known of it."""


def needed_slides(path: Path, bad_rows: BadRows) -> NeededSlides:
    """Count the patches of each slide; rows that cannot be used are noted."""
    needed, seen = NeededSlides(), Seen()
    by_id: dict[str, NeededSlide] = {}  # one more spelling of an id is one more entry
    for row in read_placed(path):
        if isinstance(row, BadSample):
            bad_rows.add([row])
            continue
        if not seen.add(row):
            continue
        slide = by_id.get(row.wsi_id)
        if slide is None:
            slide = needed.slides.setdefault(slide_key(row.wsi_id), NeededSlide(wsi_id=row.wsi_id))
            by_id[row.wsi_id] = slide
        slide.patches += 1
        if row.file_id and row.file_id not in slide.file_ids:
            slide.file_ids.add(row.file_id.lower())
    needed.patches = sum(slide.patches for slide in needed.slides.values())
    needed.repeats = seen.repeats
    return needed


def files_by_id_alone(slides: Iterable[NeededSlide]) -> Found:
    """The files of slides by what their rows say, with no one asked: neither sums nor sizes are known."""
    found = Found()
    for slide in slides:
        key, ids = slide_key(slide.wsi_id), sorted(slide.file_ids)
        if len(ids) == 1 and is_uuid(ids[0]):
            name = slide.wsi_id if slide.wsi_id.lower().endswith(SLIDE_SUFFIXES) else f"{slide.wsi_id}.svs"
            found.files[key] = GdcFile(ids[0], name)
        elif ids:
            found.refused[key] = f"its file_id is {' and '.join(ids)}; expected one UUID"
    return found


def files_at_gdc(slides: Sequence[NeededSlide], session: Any, api: str) -> Found:
    """The files of slides by ``file_id`` where that is the slide's, the others by name, in any case."""
    found = Found()
    ids = sorted({name for slide in slides for name in slide.file_ids if is_uuid(name)})
    by_id = {file.id.lower(): file for file in look_up(session, api, "file_id", ids)}
    rest, others = [], {}
    for slide in slides:
        key = slide_key(slide.wsi_id)
        known = [by_id[name] for name in sorted(slide.file_ids) if name in by_id]
        same = [file for file in known if slide_key(file.name) == key]
        if same:
            _settle(found, key, same)
            continue
        rest.append(slide)
        others[key] = known
    names = list(dict.fromkeys(name for slide in rest for name in _spellings(slide.wsi_id)))
    by_name: dict[str, list[GdcFile]] = {}
    for file in look_up(session, api, "file_name", names):
        by_name.setdefault(slide_key(file.name), []).append(file)
    for slide in rest:
        key = slide_key(slide.wsi_id)
        if key in by_name:
            _settle(found, key, by_name[key])
        elif others[key]:
            file = others[key][0]
            found.refused[key] = f"its file_id {file.id} is {file.name}, and no file has the name of the slide"
    return found


def _settle(found: Found, key: str, files: list[GdcFile]) -> None:
    """The one file that is meant."""
    usable = {file.md5 or file.id: file for file in files if file.access != "controlled"}
    if len(usable) == 1:
        found.files[key] = next(iter(usable.values()))
    elif usable:
        ids = " and ".join(sorted(file.id for file in usable.values()))
        found.refused[key] = f"different files have its name: {ids}; add the one you want by hand"
    else:
        found.refused[key] = f"{files[0].id} is under controlled access, which needs a login"


def _spellings(wsi_id: str) -> list[str]:
    """The names its file may have: barcodes are in capitals, UUIDs in either case, and the GDC may tell them apart."""
    stem = wsi_id[: len(slide_key(wsi_id))]
    barcode, dot, uuid = stem.upper().partition(".")
    stems = dict.fromkeys((stem, f"{barcode}{dot}{uuid}", f"{barcode}{dot}{uuid.lower()}"))
    return [*(f"{name}.svs" for name in stems), *([wsi_id] if wsi_id != stem else [])]
