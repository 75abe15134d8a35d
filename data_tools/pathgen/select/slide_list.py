"""The slides that the command line names: files, folders, ``.txt`` lists, and a range of them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown

from ...engine.progress import say
from ...slides.find import find_slides


def named_slides(words: Sequence[Path], slide_range: str | None, *, outside: Path) -> list[Path]:
    """Find the slides that the words name.

    Args:
        words: Slide files, folders to search, or ``.txt`` lists with a path a line.
        slide_range: ``A:B``, to take only these of the slides, counted from 0, B excluded; None takes all.
        outside: The output folder, in which no slides are looked for.

    Raises:
        PathPluginsError: a list that names missing slides or none, or a range that holds no slide.
    """
    return _in_range(find_slides(_expanded(words), outside=outside, tell=say), slide_range)


def _expanded(words: Sequence[Path]) -> list[Path]:
    """Replace every ``.txt`` list by the paths in it."""
    found: list[Path] = []
    for path in words:
        if path.suffix.lower() != ".txt" or not path.is_file():
            found.append(path)
            continue
        named = [Path(line.strip()) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if lost := [str(slide) for slide in named if not slide.exists()]:
            raise PathPluginsError(
                f"{path}: {len(lost)} of its {len(named)} slides do not exist; correct the paths, which are relative "
                f"to the current folder:\n{first_shown(lost)}"
            )
        if not named:
            raise PathPluginsError(f"{path}: names no slides; write a path a line")
        found += named
    return found


def _in_range(slides: list[Path], slide_range: str | None) -> list[Path]:
    """Return the slides from A to before B."""
    if slide_range is None:
        return slides
    start, colon, end = slide_range.partition(":")
    if not colon or not all(not number or number.isdecimal() for number in (start, end)):
        raise PathPluginsError(f"--range {slide_range}: wanted A:B, counted from 0 and B excluded, e.g. 100:150")
    chosen = slides[int(start or 0) : int(end) if end else None]
    if not chosen:
        raise PathPluginsError(
            f"--range {slide_range}: holds none of the {len(slides)} slides; choose from 0:{len(slides)}"
        )
    return chosen
