"""Find the slides in a folder of feature files, and the files that hold none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.walk import files_below

from . import Source, kind_of, sources_in
from .convert import Converted
from .kinds import SUFFIXES, TORCH_SUFFIXES

_LEFT_OUT = {
    "patches": "positions without features; encode them (`pathdata features`), or give them as --coords with features",
    "slide-embedding": "one vector for the whole slide; give the features of its patches",
    "unpuzzle": "no unit of its positions; trainers read it as it is, with coords_mpp",
}


def find_sources(folder: Path, kind: str, *, as_they_are: bool = False) -> tuple[list[Source], list[Converted]]:
    """Find the slides in a folder, or in one file; return them, and the files left out or unreadable.

    Args:
        folder: Searched recursively, except names that begin with a dot; or one file.
        kind: A key of ``READERS``, or ``auto``.
        as_they_are: Take bags too that trainers read and no conversion does: those without a unit of positions.

    Raises:
        PathPluginsError: no such folder, no features in it, or a slide found twice.
    """
    if not folder.exists():
        raise PathPluginsError(
            f"{folder}: no such file or folder; give a folder of features, or one file{near_path(folder)}"
        )
    files = [folder] if folder.is_file() else [p for p in files_below(folder) if _candidate(p, folder)]
    stems = {path.stem for path in files if path.suffix not in TORCH_SUFFIXES}
    sources: list[Source] = []
    others: list[Converted] = []
    for path in files:
        if path.suffix in TORCH_SUFFIXES and path.parent.name == "pt_files" and path.stem in stems:
            continue  # CLAM's copy without positions
        try:
            found = kind_of(path)
            wanted = {"clam", "trident"} if kind in ("clam", "trident") else {kind}
            if as_they_are and found == "unpuzzle":
                sources.append(Source(path=path, kind=found, slide_id=path.stem))
            elif found in _LEFT_OUT:
                others.append(_other(path, "left out", f"{found}: {_LEFT_OUT[found]}"))
            elif kind == "auto" or found in wanted:
                sources += sources_in(path, found)
            else:
                others.append(_other(path, "left out", f"{found}, asked for {kind}"))
        except PathPluginsError as error:
            others.append(_other(path, "failed", str(error)))
    twice = [slide_id for slide_id, count in Counter(source.slide_id for source in sources).items() if count > 1]
    if twice:
        where = ", ".join(str(source) for source in sources if source.slide_id == twice[0])
        raise PathPluginsError(
            f"{folder}: {len(twice)} slides were found more than once, e.g. {where}; pass the folder of one encoder"
        )
    if not sources and not any(other.status == "failed" for other in others):
        seen = f" (left out: {others[0].source}, {others[0].reason})" if others else ""
        raise PathPluginsError(
            f"{folder}: no features{seen}; name a folder with {', '.join(SUFFIXES)} files that hold a row per patch"
        )
    return sources, others


def _candidate(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix in SUFFIXES and not hidden and path.is_file()


def _other(path: Path, status: Literal["failed", "left out"], reason: str) -> Converted:
    return Converted(source=str(path), slide_id=None, status=status, reason=reason)
