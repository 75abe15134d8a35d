"""Names of the bags in a folder, and the slide or patient that each is of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.walk import files_below
from pathplugins.data.records import first_shown

from ..bags.find import find_sources
from ..bags.kinds import SUFFIXES
from .row_groups import GroupRule


class BagName(NamedTuple):
    """One slide's features."""

    name: str
    """Path from the folder; with ``#`` and the slide for files of several."""
    group: str | None


def bag_names(folder: Path, rule: GroupRule) -> list[BagName]:
    """Return the bags in a folder with their groups; None where the name of the slide does not tell.

    Raises:
        PathPluginsError: no such folder, no bag in it, or files that cannot be read.
    """
    if folder.is_dir() and not any(path.suffix in SUFFIXES for path in files_below(folder)):
        raise PathPluginsError(
            f"{folder}: no {', '.join(SUFFIXES)} file in it; give a folder of bags, or divide pictures with `pathdata "
            f"patchtcga split {folder}`"
        )
    sources, others = find_sources(folder, "auto", as_they_are=True)
    failed = [other.reason for other in others if other.status == "failed"]
    if failed:
        raise PathPluginsError(
            f"{folder}: {len(failed)} files cannot be read; correct or remove them:\n{first_shown(failed)}"
        )
    found = []
    for source in sources:
        path = source.path.relative_to(folder).as_posix()
        name = f"{path}#{source.slide_id}" if source.group else path
        text = f"{path.rpartition('/')[0]}/{source.slide_id}.h5".lstrip("/")
        found.append(BagName(name, name if rule.by == "sample" else rule.of_path(text)))
    return found
