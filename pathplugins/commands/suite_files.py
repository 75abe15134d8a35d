"""Find the files of a published test set in the folder it was unpacked into."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.published.suites import Suite


class SuiteFiles(NamedTuple):
    """Where a test set lies."""

    data: Path
    """File or folder with the questions."""
    images: Path | None
    """Folder of the images, if it is one of the published ones."""


def suite_files(suite: Suite, data: Path) -> SuiteFiles:
    """Find the questions and images of a suite.

    Args:
        suite: its row.
        data: the folder, or the file with the questions itself.

    Raises:
        PathPluginsError: there is no such folder, it holds no such file, or several that are equally right.
    """
    if not data.exists():
        raise PathPluginsError(f"--data {data}: no such file or folder{near_path(data)}")
    folder = data if data.is_dir() else data.parent
    images = next((folder / name for name in suite.images if (folder / name).is_dir()), None)
    if not data.is_dir() or not (suite.files or suite.parts):
        return SuiteFiles(data, images)
    for pattern in suite.files:
        found = sorted(path for path in data.glob(pattern) if path.is_file())
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise PathPluginsError(
                f"--data {data} holds {names}, each of which may be {suite.name}; name one, e.g. --data {found[0]}"
            )
        if found:
            return SuiteFiles(found[0], images)
    if suite.parts and any(data.glob(suite.parts)):
        return SuiteFiles(data, images)
    names = " or ".join((*suite.files, *filter(None, [suite.parts])))
    raise PathPluginsError(f"--data {data} holds no questions of {suite.name} ({names}); name the file with --data")
