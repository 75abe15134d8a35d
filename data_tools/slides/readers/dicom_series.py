"""Group DICOM files to slides: a slide is a series, one file for each level of it and more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.optional import need

from ..errors import SlideError

SUFFIXES = (".dcm", ".dicom")
PREAMBLE, MAGIC = 128, b"DICM"
SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"  #: VL Whole Slide Microscopy Image Storage
FUNCTIONAL_GROUPS = 0x52000000  #: the tags that can be long come from here on


@dataclass(frozen=True, kw_only=True)
class Series:
    """The files of one DICOM slide in one folder."""

    uid: str
    files: tuple[Path, ...]
    """All of them, the level with the most pixels first."""


@dataclass(frozen=True, kw_only=True)
class FoundSeries:
    """What the DICOM files of a folder are."""

    slides: tuple[Series, ...]
    others: tuple[Path, ...]
    """DICOM files that belong to no slide."""


def is_dicom(path: Path) -> bool:
    """Return whether a file begins as DICOM files do."""
    with path.open("rb") as file:
        head = file.read(PREAMBLE + len(MAGIC))
    return head[PREAMBLE:] == MAGIC


def maybe_dicom(path: Path) -> bool:
    """Return whether a file by its name may be DICOM: those suffixes, none, or the end of a UID."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or not suffix or suffix[1:].isdecimal()


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder, by name."""
    names = sorted(path for path in folder.iterdir() if path.name[0] != "." and maybe_dicom(path) and path.is_file())
    return [path for path in names if is_dicom(path)]


def find_series(files: Iterable[Path]) -> FoundSeries:
    """Group DICOM files by the series that they say they belong to.

    Raises:
        SlideError: a file that cannot be parsed.
        MissingDependencyError: pydicom is not installed.
    """
    series: dict[str, list[tuple[int, Path]]] = {}
    others = []
    for path in files:
        uid, pixels = _series_of(path)
        if uid is None:
            others.append(path)
        else:
            series.setdefault(uid, []).append((pixels, path))
    slides = []
    for uid, members in series.items():
        members.sort(key=lambda member: (-member[0], member[1]))
        if members[0][0]:
            slides.append(Series(uid=uid, files=tuple(path for _, path in members)))
        else:  # label, overview or thumbnail without the slide itself
            others += [path for _, path in members]
    return FoundSeries(slides=tuple(slides), others=tuple(others))


def series_at(path: Path) -> Series:
    """Return the series of a DICOM file, with all its files in that folder; of a folder, the only one in it.

    Raises:
        SlideError: not a slide, or a folder of several.
    """
    folder = path if path.is_dir() else path.parent
    found = find_series(dicom_files(folder)).slides
    if path.is_dir():
        if len(found) == 1:
            return found[0]
        heads = ", ".join(series.files[0].name for series in found[:5])
        raise SlideError(
            f"{path}: holds {len(found)} DICOM slides, wanted one"
            + (f"; give one file of the slide: {heads}" if found else "; give a folder that holds the files of a slide")
        )
    mine = next((series for series in found if path in series.files), None)
    if mine is None:
        raise SlideError(f"{path}: DICOM, but no whole-slide image; leave it out")
    return mine


def read_header(path: Path) -> Any:
    """Return the attributes of a DICOM file before its functional groups, as pydicom's data set.

    Raises:
        SlideError: it cannot be parsed.
        MissingDependencyError: pydicom is not installed.
    """
    pydicom = need("pydicom", extra="readers")
    try:
        with path.open("rb") as file:
            return pydicom.filereader.read_partial(file, stop_when=lambda tag, *_: tag >= FUNCTIONAL_GROUPS)
    except (pydicom.errors.InvalidDicomError, ValueError, EOFError, TypeError, NotImplementedError) as error:
        raise SlideError(f"{path}: cannot be read as DICOM ({error}); copy it again, or leave it out") from error


def _series_of(path: Path) -> tuple[str | None, int]:
    """Return the series of a file, None if it is no part of a slide, and the pixels of the level that it holds."""
    header = read_header(path)
    if header.get("SOPClassUID") != SLIDE_CLASS or "SeriesInstanceUID" not in header:
        return None, 0
    is_level = "VOLUME" in (header.get("ImageType") or ())
    pixels = int(header.get("TotalPixelMatrixColumns") or 0) * int(header.get("TotalPixelMatrixRows") or 0)
    return str(header.SeriesInstanceUID), pixels if is_level else 0
