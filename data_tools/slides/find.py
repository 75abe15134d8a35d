"""Slides by name: where the files of slides are that a data set names, and which of them are nowhere."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.files import replacing
from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data.pathgen import slide_key
from pathplugins.data.records import first_shown

from ..engine.progress import say
from .slide import SlideError

LOGS = "logs"  #: where gdc-client keeps the state of a download, beside the slide
PICTURES = frozenset((".png", ".jpg", ".jpeg"))  #: may be slides, but beside a slide they are pictures of it


def index_slides(folders: Sequence[Path], wanted: Collection[str] | None = None) -> dict[str, Path]:
    """The slide files below some folders, by ``slide_key`` of their names, so that case and suffix do not matter.

    Any depth is searched, links too, as for gdc-client's ``<uuid>/<name>.svs``; half a download (``.partial``),
    hidden folders and ``logs`` are not. A plain image yields to a slide of the same name.

    Args:
        folders: Searched in this order.
        wanted: Keys; the files of other slides are of no interest, whatever they are. None takes all.

    Raises:
        SlideError: no such folder, or two different files of one slide, all such pairs in one report. Two of one name
            and size are taken to be copies: the first is used, which is said.
    """
    slides: dict[str, list[Path]] = {}
    pictures: dict[str, list[Path]] = {}
    for path in _files(folders):
        suffix, key = path.suffix.lower(), slide_key(path.name)
        if suffix in SLIDE_SUFFIXES and (wanted is None or key in wanted):
            (pictures if suffix in PICTURES else slides).setdefault(key, []).append(path)
    found = {**pictures, **slides}
    clashes = [f"{first} and {other}" for first, *others in found.values() for other in _others(first, others)]
    if clashes:
        pairs = "\n".join(first_shown(clashes))
        raise SlideError(f"one slide, two different files; remove or rename one of each two:\n{pairs}")
    return {key: paths[0] for key, paths in found.items()}


def _others(first: Path, paths: list[Path]) -> Iterator[Path]:
    """Those that are another slide than the first, by their names and sizes."""
    for path in paths:
        if path.samefile(first):
            continue
        if path.name == first.name and path.stat().st_size == first.stat().st_size:
            say(f"{path} has the name and size of {first}, which is used")
        else:
            yield path


@dataclass(frozen=True, kw_only=True)
class MissingSlides:
    """The slides that are nowhere, each once."""

    slides: dict[str, int]
    """Id, as it is first spelled -> patches; most patches first."""
    of_slides: int
    """Slides there should be."""
    of_patches: int
    """Patches on them."""

    def text(self, what: str, beside: Path | None = None) -> str:
        """How many, and the first few by name; empty if none is missing.

        Args:
            what: Says what is wrong with them, e.g. ``are not in slides/``.
            beside: The file that ``write`` wrote, for the reader to look at.
        """
        if not self.slides:
            return ""
        lost = sum(self.slides.values())
        counts = f"{len(self.slides)} of {self.of_slides} slides {what} ({lost} of {self.of_patches} patches):"
        lines = [counts, *first_shown([f"{name}: {count} patches" for name, count in self.slides.items()])]
        return "\n".join(lines if beside is None else [*lines, f"All of them: {beside}"])

    def write(self, path: Path) -> None:
        """All of them as a table; a file of an earlier run goes if none is missing."""
        if not self.slides:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as temporary:
            rows = "".join(f"{name}\t{count}\n" for name, count in self.slides.items())
            temporary.write_text(f"wsi_id\tpatches\n{rows}", encoding="utf-8")


def missing_slides(patches: Mapping[str, int], found: Collection[str]) -> MissingSlides:
    """The slides that are not among the keys ``found``; ``patches`` counts them under any spelling of an id."""
    spelled: dict[str, str] = {}
    counts: dict[str, int] = {}
    for wsi_id, count in patches.items():
        key = slide_key(wsi_id)
        spelled.setdefault(key, wsi_id)
        counts[key] = counts.get(key, 0) + count
    lost = sorted((key for key in counts if key not in found), key=lambda key: (-counts[key], key))
    slides = {spelled[key]: counts[key] for key in lost}
    return MissingSlides(slides=slides, of_slides=len(counts), of_patches=sum(counts.values()))


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """All files, each folder once however it is reached, in the order of their names."""
    been: set[tuple[int, int]] = set()
    for folder in folders:
        if not folder.is_dir():
            raise SlideError(f"{folder}: no such folder; expected the one with the slides")
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
