"""Roots: the folders whose files may be asked about over the network, and nothing else of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.core.walk import walk_folders
from pathplugins.models.custom_llava.input_files import Kind, kind_of

_BAGS = (".h5", ".hdf5")
_ENCODED = re.compile(r"%(?:2e|2f|5c|25|00)", re.IGNORECASE)
_SHOWN = 200


class RefusedPathError(PathPluginsError):
    """A path that does not lie below a root; the message is the same whether there is a file or not."""


class MissingFileError(PathPluginsError):
    """A path below the roots where there is nothing."""


class Listed(NamedTuple):
    """A file that may be asked about."""

    name: str
    """What `Roots.resolve` takes: the name of the root and the path below it, with ``/``."""
    kind: Kind


class Roots:
    """Folders whose bags, slides and images may be asked about.

    Args:
        paths: the folders; none is allowed, nothing can then be named.

    Raises:
        PathPluginsError: one is no folder.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if wrong := [str(path) for path in paths if not path.is_dir()]:
            raise PathPluginsError(f"--root {', '.join(wrong)}: no such folder; give one that holds bags or slides")
        folders = [*dict.fromkeys(path.resolve() for path in paths)]
        self.folders: dict[str, Path] = {}
        """Name -> folder; folders of the same name are numbered from the second on."""
        for folder in folders:
            name, number = folder.name or "root", 2
            while name in self.folders:
                name, number = f"{folder.name or 'root'}-{number}", number + 1
            self.folders[name] = folder

    def resolve(self, text: str) -> Path:
        """Return the file, or the folder of a slide, that ``text`` names.

        It may be a name of `listing`, a path relative to a root (the first root that has it), an absolute path, or a
        ``file:`` URL of any of these. Links are followed as long as they stay below a root.

        Raises:
            RefusedPathError: it leads out of the roots, or might: ``..``, hidden names, encoded dots or slashes.
            MissingFileError: it lies below a root, and there is nothing.
        """
        try:
            places = self._places(text)
            inside = [place for place in places if self._holds(place.resolve())]
            found = next((place for place in inside if place.exists()), None)
        except (OSError, ValueError, RuntimeError):  # longer than any name, or links in a circle
            places, inside, found = [], [], None
        if found is None and inside and inside == places:
            raise MissingFileError(f"{_short(text)}: no such file on this server")
        if found is None or found.resolve() in self.folders.values():
            raise self._refused(text)
        return found if self._holds(found) else found.resolve()  # a link keeps its name

    def listing(self) -> list[Listed]:
        """Return the bags, slides and images below the roots, told apart by suffix; only a TIFF is looked into."""
        return [listed for name, folder in self.folders.items() for listed in self._listed(name, folder)]

    def name_of(self, path: Path) -> str:
        """Return the name of `listing` for what `resolve` returned."""
        name, folder = next((name, folder) for name, folder in self.folders.items() if path.is_relative_to(folder))
        return f"{name}/{path.relative_to(folder).as_posix()}"

    def _places(self, text: str) -> list[Path]:
        """Return what a path may mean; nothing where it is no path that is taken."""
        path = PurePosixPath(_plain(text))
        parts = path.parts[1:] if path.is_absolute() else path.parts
        if not parts or any(part.startswith(".") for part in parts):
            return []
        if path.is_absolute():
            return [Path(path)]
        named = [self.folders[parts[0]].joinpath(*parts[1:])] if parts[0] in self.folders and parts[1:] else []
        return [*named, *(folder / path for folder in self.folders.values())]

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders.values())

    def _listed(self, name: str, root: Path) -> Iterator[Listed]:
        for place, below, names in walk_folders(root):
            if not self._holds(place.resolve()):
                below.clear()
                continue
            head = "/".join((name, *place.relative_to(root).parts))
            if any(each.lower().endswith(".dcm") for each in names) and place != root:
                yield Listed(head, "slide")
                continue
            stores = [each for each in below if each.lower().endswith(".zarr")]
            below[:] = [each for each in below if each not in stores]
            yield from (Listed(f"{head}/{each}", "slide") for each in stores)
            for each in names:
                kind = _kind_by_name(place / each)
                if kind is not None and self._holds((place / each).resolve()):
                    yield Listed(f"{head}/{each}", kind)

    def _refused(self, text: str) -> RefusedPathError:
        known = ", ".join(self.folders) or "none was given with --root"
        return RefusedPathError(
            f"{_short(text)}: this server reads files of its roots alone ({known}); name one as ROOT/PATH, or upload it"
        )


def _plain(text: str) -> str:
    """Return a path or ``file:`` URL as a path; empty where it is neither, or holds what could be read in two ways."""
    if text[:5].lower() == "file:":
        url = urlsplit(text)
        if url.netloc not in ("", "localhost") or url.query or url.fragment:
            return ""
        text = unquote(url.path, errors="strict")
    elif re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", text):  # another URL; a name with a colon may follow a folder's
        return ""
    return "" if _ENCODED.search(text) or "\\" in text or "\0" in text else text


def _kind_by_name(path: Path) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in _BAGS:
        return "bag"
    if suffix in (".tif", ".tiff"):
        try:
            kind = kind_of(path)
        except OSError:
            return None
        return None if kind == "unknown" else kind
    if suffix in (".png", ".jpg", ".jpeg"):
        return "image"
    return "slide" if suffix in SLIDE_SUFFIXES and suffix != ".dcm" else None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
