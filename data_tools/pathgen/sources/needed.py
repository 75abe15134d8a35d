"""The slides that a PathGen JSON needs, and their files at the GDC."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.suffixes import SLIDE_SUFFIXES, slide_key
from pathplugins.data.formats.reading.placed import Seen, read_placed
from pathplugins.data.records import BadSample

from ...records.report import BadRows
from .gdc import GdcFile, is_uuid, look_up


@dataclass(kw_only=True)
class NeededSlide:
    """A slide with patches to cut."""

    wsi_id: str
    """The id in its first spelling."""
    patches: int = 0
    file_ids: set[str] = field(default_factory=set)
    """UUIDs of its file in lower case, from the rows that have one; several if rows differ."""


@dataclass(kw_only=True)
class NeededSlides:
    """All slides a source needs, by ``slide_key``."""

    slides: dict[str, NeededSlide] = field(default_factory=dict)
    patches: int = 0
    repeats: int = 0
    """Exact duplicates, which are not counted."""

    def counts(self, keys: Collection[str]) -> dict[str, int]:
        """Return id -> number of patches for some slides."""
        return {self.slides[key].wsi_id: self.slides[key].patches for key in keys}


@dataclass(kw_only=True)
class Found:
    """Result of looking slides up, by ``slide_key``."""

    files: dict[str, GdcFile] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why the file of a slide cannot be downloaded, where a reason is known."""


def needed_slides(path: Path, bad_rows: BadRows) -> NeededSlides:
    """Count the patches of each slide; rows that cannot be used go to ``bad_rows``."""
    needed, seen = NeededSlides(), Seen()
    by_id: dict[str, NeededSlide] = {}  # cache by exact spelling; several spellings map to one slide
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
    """Take the files of slides from their rows' ``file_id``, offline: checksums and sizes stay unknown."""
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
    """Look slides up at the GDC: by ``file_id`` where it is the slide's own, otherwise by name, in any case."""
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
            found.refused[key] = f"its file_id {file.id} belongs to {file.name}, and no file has the name of the slide"
    return found


def _settle(found: Found, key: str, files: list[GdcFile]) -> None:
    """Record the one usable file of a slide, or why there is none."""
    usable = {file.md5 or file.id: file for file in files if file.access != "controlled"}
    if len(usable) == 1:
        found.files[key] = next(iter(usable.values()))
    elif usable:
        ids = " and ".join(sorted(file.id for file in usable.values()))
        found.refused[key] = f"different files have its name: {ids}; add the right one to the manifest by hand"
    else:
        found.refused[key] = f"{files[0].id} is under controlled access, which needs a login"


def _spellings(wsi_id: str) -> list[str]:
    """Return the names its file may have at the GDC: barcodes are in capitals, UUIDs in either case."""
    stem = wsi_id[: len(slide_key(wsi_id))]
    barcode, dot, uuid = stem.upper().partition(".")
    stems = dict.fromkeys((stem, f"{barcode}{dot}{uuid}", f"{barcode}{dot}{uuid.lower()}"))
    return [*(f"{name}.svs" for name in stems), *([wsi_id] if wsi_id != stem else [])]
