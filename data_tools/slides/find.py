"""Find slide files: those that a user gives, and those that a data set names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.core.suffixes import SLIDE_SUFFIXES, slide_key, slide_name
from pathplugins.data.records import first_shown

from .errors import SlideError
from .readers.dicom_series import SUFFIXES as DICOM_SUFFIXES
from .readers.dicom_series import is_dicom, maybe_dicom, series_at
from .readers.ome_zarr import is_zarr
from .readers.opening import MIRAX_MARK
from .search import BESIDE, LOGS, PICTURES, Found, search

__all__ = ["LOGS", "find_slides", "index_slides"]

logger = logging.getLogger(__name__)

GIVE = "; give slide files, or folders that hold slides"


def find_slides(given: list[Path], *, outside: Path, tell: Callable[[str], object] = logger.warning) -> list[Path]:
    """Return the slides among files and folders; folders are searched to any depth except below ``outside``.

    Links are followed. The files of a DICOM series are one slide, given as its folder or by any of them; so is a
    folder of OME-Zarr. Pictures of slides, work folders of earlier runs and formats that nothing here reads are left
    out of folders.

    Args:
        given: Files and folders.
        outside: The output folder.
        tell: Called with a sentence on what is left out.

    Raises:
        SlideError: a path that does not exist, a folder without slides, or two slides with one name.
    """
    found: dict[str, Path] = {}
    for path in given:
        for slide in _slides_at(path, outside, tell):
            name = slide_name(slide)
            other = found.setdefault(name, slide)
            if other.resolve() != slide.resolve():
                raise SlideError(
                    f"two slides are called {name!r}: {other} and {slide}; files are named by slide, "
                    "so rename one or give them separate --out folders"
                )
    return list(found.values())


def _slides_at(path: Path, outside: Path, tell: Callable[[str], object]) -> list[Path]:
    """Return the slides that one given path stands for."""
    if is_zarr(path):
        return [path]
    if path.is_dir():
        if (path / MIRAX_MARK).is_file() and (whole := path.with_name(f"{path.name}.mrxs")).is_file():
            return [whole]
        found = search([path], outside=outside)
        if found.left_out:
            tell(found.text(path))
        if not found.slides and path.resolve() == outside.resolve():
            raise SlideError(f"{path}: is the --out folder too, which is not searched; pass another --out")
        if not found.slides:
            raise SlideError(f"{path}: no slides in this folder; looked for {' '.join(sorted(SLIDE_SUFFIXES))}{GIVE}")
        return sorted(found.slides)
    if not is_file(path):
        raise SlideError(f"{path}: no such file or folder{near_path(path) or GIVE}")
    if (path.suffix.lower() in DICOM_SUFFIXES or maybe_dicom(path)) and is_dicom(path):
        return [series_at(path).files[0]]
    return [path]


def index_slides(
    folders: Sequence[Path],
    wanted: Collection[str] | None = None,
    *,
    tell: Callable[[str], None] = logger.warning,
) -> dict[str, Path]:
    """Return the slide files below some folders, by ``slide_key`` of their names: case and suffix do not matter.

    Folders are searched as by `find_slides`, as gdc-client writes ``<uuid>/<name>.svs``. A plain image yields to a
    slide of the same name.

    Args:
        folders: Searched in this order.
        wanted: The keys to look for; the files of other slides are not checked. None takes all.
        tell: Called with a sentence on each copy that is not used, and, without ``wanted``, on what is left out.

    Raises:
        SlideError: no such folder, or two different files of one slide, all of them in one report. Two files of one
            name and size are taken to be copies, of which the first is used.
    """
    for folder in folders:
        if not folder.is_dir():
            raise SlideError(f"{folder}: no such folder{near_path(folder) or GIVE}")
    searched = search(folders)
    if wanted is None and searched.left_out:
        tell(searched.text(*folders))
    slides, pictures = _by_key(searched, wanted)
    found = {**pictures, **slides}
    clashes = [f"{first} and {other}" for first, *others in found.values() for other in _others(first, others, tell)]
    if clashes:
        raise SlideError(f"one slide, two different files; remove or rename one of each two:\n{first_shown(clashes)}")
    return {key: paths[0] for key, paths in found.items()}


def _by_key(searched: Found, wanted: Collection[str] | None) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Return slides, and plain pictures that may be slides, by key, as they were found."""
    slides: dict[str, list[Path]] = {}
    pictures: dict[str, list[Path]] = {}
    # a picture beside slides that a data set names is one of its slides
    named = searched.left_out.get(BESIDE, []) if wanted is not None else []
    for path in (*searched.slides, *named):
        key = slide_key(path.name)
        if wanted is None or key in wanted:
            (pictures if path.suffix.lower() in PICTURES else slides).setdefault(key, []).append(path)
    return slides, pictures


def _others(first: Path, paths: list[Path], tell: Callable[[str], None]) -> Iterator[Path]:
    """Yield the files that are a different slide than the first, by their names and sizes."""
    for path in paths:
        if path.samefile(first):
            continue
        if path.name == first.name and path.stat().st_size == first.stat().st_size:
            tell(f"{path} has the name and size of {first}, which is used")
        else:
            yield path
