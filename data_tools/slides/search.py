"""Search folders for slides, and tell slides from what lies beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathplugins.core.suffixes import SLIDE_SUFFIXES, slide_key
from pathplugins.core.walk import walk_folders

from .readers.dicom_series import SUFFIXES as DICOM_SUFFIXES
from .readers.dicom_series import find_series, is_dicom, maybe_dicom
from .readers.opening import MIRAX_MARK

LOGS = "logs"  #: where gdc-client keeps the state of a download, beside the slide
PICTURES = frozenset((".png", ".jpg", ".jpeg"))  #: may be slides, but beside a slide they are pictures of it
UNREAD = frozenset((".vsi", ".ets", ".isyntax", ".i2syntax", ".kfb", ".sdpc", ".mds", ".mdsx", ".tmap", ".qptiff"))
"""Suffixes of slides that nothing here reads."""
ROLES = "thumbnail|thumb|label|macro|overview|overlay|mask|masks|preview|heatmap|tissue|annotation|annotations|map2"
PICTURE_OF = re.compile(rf"(.+?)[ ._(-]+(?:{ROLES})\)?", re.IGNORECASE)  #: stem of a picture -> that of its slide
WORK_FILES = frozenset(("process_list.csv", "process_list_autogen.csv"))  #: in folders that patching wrote
WORK_PICTURES = frozenset(("overlays", "patches"))  #: folders of pictures in them
SHOWN = 3

BESIDE, OF_SLIDE = "pictures beside slides", "pictures or masks of slides"
WORK, NOT_READ = "work folders of earlier runs", "slides of formats that nothing here reads"
BROKEN, OTHER_DICOM = "links to nothing", "DICOM files of no slide"


@dataclass(kw_only=True)
class Found:
    """What a search brought."""

    slides: list[Path] = field(default_factory=list)
    """In the order of their names, folder by folder."""
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """Why -> the files and folders left out."""

    def leave(self, why: str, path: Path) -> None:
        """Count a file or folder as left out."""
        self.left_out.setdefault(why, []).append(path)

    def text(self, *folders: Path) -> str:
        """Return a sentence on what was left out."""
        parts = []
        for why, paths in self.left_out.items():
            names = ", ".join(path.name for path in paths[:SHOWN]) + ", ..." * (len(paths) > SHOWN)
            parts.append(f"{len(paths)} {why} ({names})")
        return f"{', '.join(map(str, folders))}: left out {'; '.join(parts)}; to use one, give it by name"


def search(folders: Sequence[Path], *, outside: Path | None = None) -> Found:
    """Search folders to any depth, links included; each folder once.

    Args:
        folders: Where to search, in this order.
        outside: A folder that is not searched.

    Raises:
        SlideError: DICOM files that cannot be parsed.
        MissingDependencyError: there are DICOM files, but no pydicom.
    """
    found = Found()
    been: set[tuple[int, int]] = set()
    if outside is not None and outside.is_dir():
        status = outside.stat()
        been.add((status.st_dev, status.st_ino))
    for folder in folders:
        for place, below, names in walk_folders(folder, been):
            if WORK_FILES & set(names):
                if place != folder:
                    found.leave(WORK, place)
                    below.clear()
                    continue
                for name in sorted(WORK_PICTURES & set(below)):  # slides may lie beside them
                    found.leave(WORK, place / name)
                    below.remove(name)
            if MIRAX_MARK in names:  # the data of the .mrxs beside this folder
                below.clear()
                continue
            below[:] = [name for name in below if name != LOGS]
            zarrs = [name for name in below if name.lower().endswith(".zarr")]
            below[:] = [name for name in below if name not in zarrs]
            _take(found, place, names, zarrs)
    _leave_pictures(found)
    return found


def _take(found: Found, place: Path, names: list[str], zarrs: list[str]) -> None:
    """Sort the files of one folder, and its folders of OME-Zarr, into slides and others."""
    slides = [place / name for name in zarrs]
    pictures, dicoms = [], []
    for path in map(place.joinpath, names):
        suffix = path.suffix.lower()
        if suffix in UNREAD:
            found.leave(NOT_READ, path)
        elif suffix in DICOM_SUFFIXES or (suffix not in SLIDE_SUFFIXES and maybe_dicom(path)):
            if path.is_file() and is_dicom(path):
                dicoms.append(path)
            elif suffix in SLIDE_SUFFIXES:
                slides.append(path)  # opening it says what is wrong
        elif suffix not in SLIDE_SUFFIXES:
            continue
        elif not path.is_file():
            found.leave(BROKEN, path)
        else:
            (pictures if suffix in PICTURES else slides).append(path)
    slides += _series(found, place, dicoms, alone=not slides)
    if slides:
        for path in pictures:
            found.leave(BESIDE, path)
    found.slides += sorted(slides) or pictures


def _series(found: Found, place: Path, dicoms: list[Path], *, alone: bool) -> Iterator[Path]:
    """Yield a path for each DICOM slide of a folder: the folder if it is the only one, else its sharpest file."""
    if not dicoms:
        return
    grouped = find_series(dicoms)
    for path in grouped.others:
        found.leave(OTHER_DICOM, path)
    if alone and len(grouped.slides) == 1 and not grouped.others:
        yield place if place.name not in ("", "..") else place.resolve()
    else:
        yield from (series.files[0] for series in grouped.slides)


def _leave_pictures(found: Found) -> None:
    """Leave out what is called like a slide that was found, wherever it lies: thumbnails, labels, masks."""
    keys = {slide_key(path.name) for path in found.slides}
    whole = {slide_key(path.name) for path in found.slides if path.suffix.lower() not in PICTURES}
    kept = []
    for path in found.slides:
        key = slide_key(path.name)
        role = PICTURE_OF.fullmatch(key)
        if (path.suffix.lower() in PICTURES and key in whole) or (role and role[1] in keys and not path.is_dir()):
            found.leave(OF_SLIDE, path)
        else:
            kept.append(path)
    found.slides = kept
