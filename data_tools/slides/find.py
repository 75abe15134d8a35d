"""Find slide files: those that a user gives, and those that a data set names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from pathplugins.core.nearest import near_path
from pathplugins.core.suffixes import SLIDE_SUFFIXES, slide_key
from pathplugins.data.records import first_shown

from .slide import SlideError

logger = logging.getLogger(__name__)

LOGS = "logs"  #: where gdc-client keeps the state of a download, beside the slide
PICTURES = frozenset((".png", ".jpg", ".jpeg"))  #: may be slides, but beside a slide they are pictures of it

GIVE = "; give slide files, or folders that hold slides"


def find_slides(given: list[Path], *, outside: Path) -> list[Path]:
    """Return the slide files among files and folders; folders are searched to any depth except below ``outside``.

    Raises:
        SlideError: a path that does not exist, a folder without slides, or two slides with one name.
    """
    found: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            slides = sorted(p for p in path.rglob("*") if p.suffix.lower() in SLIDE_SUFFIXES and p.is_file())
            slides = [p for p in slides if outside.resolve() not in p.resolve().parents]
            if not slides:
                raise SlideError(
                    f"{path}: no slides in this folder; looked for {' '.join(sorted(SLIDE_SUFFIXES))}{GIVE}"
                )
        elif path.is_file():
            slides = [path]
        else:
            raise SlideError(f"{path}: no such file or folder{near_path(path) or GIVE}")
        for slide in slides:
            other = found.setdefault(slide.stem, slide)
            if other.resolve() != slide.resolve():
                raise SlideError(
                    f"two slides are called {slide.stem!r}: {other} and {slide}; files are named by slide, "
                    "so rename one or give them separate --out folders"
                )
    return list(found.values())


def index_slides(
    folders: Sequence[Path],
    wanted: Collection[str] | None = None,
    *,
    tell: Callable[[str], None] = logger.warning,
) -> dict[str, Path]:
    """Return the slide files below some folders, by ``slide_key`` of their names: case and suffix do not matter.

    Any depth is searched, links too, as gdc-client writes ``<uuid>/<name>.svs``. Hidden folders, ``logs`` and
    unfinished downloads (``.partial``) are left out. A plain image yields to a slide of the same name.

    Args:
        folders: Searched in this order.
        wanted: The keys to look for; the files of other slides are not checked. None takes all.
        tell: Called with a sentence on each copy that is not used.

    Raises:
        SlideError: no such folder, or two different files of one slide, all of them in one report. Two files of one
            name and size are taken to be copies, of which the first is used.
    """
    slides: dict[str, list[Path]] = {}
    pictures: dict[str, list[Path]] = {}
    for path in _files(folders):
        suffix, key = path.suffix.lower(), slide_key(path.name)
        if suffix in SLIDE_SUFFIXES and (wanted is None or key in wanted):
            (pictures if suffix in PICTURES else slides).setdefault(key, []).append(path)
    found = {**pictures, **slides}
    clashes = [f"{first} and {other}" for first, *others in found.values() for other in _others(first, others, tell)]
    if clashes:
        raise SlideError(f"one slide, two different files; remove or rename one of each two:\n{first_shown(clashes)}")
    return {key: paths[0] for key, paths in found.items()}


def _others(first: Path, paths: list[Path], tell: Callable[[str], None]) -> Iterator[Path]:
    """Yield the files that are a different slide than the first, by their names and sizes."""
    for path in paths:
        if path.samefile(first):
            continue
        if path.name == first.name and path.stat().st_size == first.stat().st_size:
            tell(f"{path} has the name and size of {first}, which is used")
        else:
            yield path


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield all files in the order of their names; a folder that several links reach is searched once."""
    been: set[tuple[int, int]] = set()
    for folder in folders:
        if not folder.is_dir():
            raise SlideError(f"{folder}: no such folder{near_path(folder) or GIVE}")
        for place, below, names in os.walk(folder, followlinks=True):
            status = os.stat(place)  # noqa: PTH116 - what os.walk gives
            if (status.st_dev, status.st_ino) in been:
                below.clear()
                continue
            been.add((status.st_dev, status.st_ino))
            below[:] = sorted(name for name in below if name != LOGS and name[0] != ".")
            for name in sorted(names):
                if name[0] != "." and (path := Path(place, name)).is_file():
                    yield path
