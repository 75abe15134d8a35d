"""Unpack an archive to a folder that appears under its name when it is whole; after a kill the same call goes on.

Beside the target, in the folder of all data sets: ``.NAME.partial`` holds the files unpacked so far, each of which
appears there whole, ``.NAME.writing`` the one being written, and ``.NAME.join.json`` what was verified and done.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, temporary_beside, write_json

from .members import BROKEN, Member, RefusedError, members_of
from .parts import Archive

_COPY = 2**20
Stamps = list[list[Any]]
Told = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The paths of one archive in the folder of all data sets."""

    out: Path
    name: str

    @property
    def partial(self) -> Path:
        """Folder of what is unpacked so far."""
        return self.out / f".{self.name}.partial"

    @property
    def writing(self) -> Path:
        """The file that is being written."""
        return self.out / f".{self.name}.writing"

    @property
    def state_file(self) -> Path:
        """What was verified and done."""
        return self.out / f".{self.name}.join.json"

    def state(self) -> dict[str, Any]:
        """Return what an earlier run wrote down; nothing where there is none, or it is damaged."""
        try:
            return read_json(self.state_file)
        except (OSError, ValueError):
            return {}


def stamps_of(archive: Archive) -> Stamps:
    """Return name, size and time of each part: while these stay, so do their bytes."""
    return [[part.name, part.stat().st_size, part.stat().st_mtime_ns] for part in archive.parts]


def finished(place: Place, archive: Archive) -> Path | None:
    """Return the folder, where the same archive has been unpacked there already."""
    state = place.state()
    if state.get("parts") != stamps_of(archive) or "target" not in state:
        return None
    target = place.out / state["target"]
    if not target.is_dir():
        return None
    if place.partial.exists():  # a run was killed between the two last steps of `_name`
        place.partial.rmdir()
    return target


def unpack(place: Place, archive: Archive, told: Told = lambda place: None) -> tuple[Path, int]:
    """Unpack all files, then give the folder its name: that of the one folder in the archive, else of the archive.

    Args:
        place: where to.
        archive: what.
        told: called with the place reached in the archive, bytes.

    Returns:
        The folder, and the number of files in it.

    Raises:
        RefusedError: a member is hostile; what was unpacked is removed.
        PathPluginsError: the archive is damaged, the disk is full, or the target exists.
    """
    if (place.out / archive.name).exists():
        raise _in_the_way(place.out / archive.name)
    place.partial.mkdir(parents=True, exist_ok=True)
    _check_space(place, archive)
    files = 0
    try:
        with members_of(archive, fold_case=_folds_case(place.out), told=told) as members:
            for member in members:
                files += not member.is_folder
                _put(place, member)
    except RefusedError:
        shutil.rmtree(place.partial)
        place.writing.unlink(missing_ok=True)
        raise
    except BROKEN as error:
        raise PathPluginsError(
            f"{archive.name} is damaged or incomplete ({error or type(error).__name__}); are its last parts there? "
            "Compare MD5s, download again, then run the same command"
        ) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room" if full else "correct that"
        raise PathPluginsError(f"{place.out}: {error}; {advice}, then the same command goes on from here") from error
    return _name(place, archive), files


def _put(place: Place, member: Member) -> None:
    """Write a member, unless it is there whole: its size and time are set before it gets its name."""
    path = place.partial / member.name
    if member.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    try:
        there = path.stat()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        if (there.st_size, there.st_mtime_ns) == (member.size, member.mtime_ns):
            return
    with member.open() as source, place.writing.open("wb") as target:
        shutil.copyfileobj(source, target, _COPY)
        if target.tell() != member.size:
            raise EOFError(f"{member.name} ends after {target.tell()} of {member.size} bytes")
    os.utime(place.writing, ns=(member.mtime_ns, member.mtime_ns))
    place.writing.replace(path)


def _name(place: Place, archive: Archive) -> Path:
    """Give what was unpacked its final name."""
    top = [*place.partial.iterdir()]
    single = len(top) == 1 and top[0].is_dir()
    name = top[0].name if single else archive.name
    target = place.out / name
    state = place.state()
    if not top:
        place.partial.rmdir()
        raise PathPluginsError(f"{archive.parts[0]} holds no files; expected an archive of pictures")
    if target.exists():
        raise _in_the_way(target)
    write_json(place.state_file, {**state, "parts": stamps_of(archive), "target": name})
    if single:
        top[0].replace(target)
        place.partial.rmdir()
    else:
        place.partial.replace(target)
    return target


def _in_the_way(target: Path) -> PathPluginsError:
    return PathPluginsError(
        f"{target} exists and was not unpacked from these files; move it away and run the same command again, or "
        "choose another --out"
    )


def _check_space(place: Place, archive: Archive) -> None:
    """Refuse to begin where the disk is too small: pictures are hardly smaller in an archive than outside."""
    there = sum(file.stat().st_size for file in place.partial.rglob("*") if file.is_file())
    free, needed = shutil.disk_usage(place.out).free, archive.size - there
    if free < needed:
        raise PathPluginsError(
            f"{place.out} has {free / 1e9:.1f} GB free, wanted at least {needed / 1e9:.1f} GB for {archive.name}; make "
            "room or choose another --out"
        )


def _folds_case(folder: Path) -> bool:
    """Return whether the file system takes names that differ only by case for one."""
    probe = temporary_beside(folder / "case")
    probe.touch()
    try:
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink()
