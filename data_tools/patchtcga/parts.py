"""The parts of an archive: their order, gaps between them, and one stream of their bytes without a joined copy."""

from __future__ import annotations

import bisect
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
"""Names of whole archives, in any case."""

_PART = re.compile(r"(?P<before>.*[._-](?:p_|part)?)(?P<place>[0-9]+|[a-z]{1,5})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive in one or several files."""

    name: str
    """Without suffix, e.g. ``PTCGA200``."""
    parts: tuple[Path, ...]
    """In the order of their bytes."""

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.stat().st_size for part in self.parts)


def archive_of(files: Sequence[Path]) -> Archive:
    """Return the archive that files are, or are the parts of, whatever their order.

    Raises:
        PathPluginsError: a file is not there, parts are missing between others, or names do not say their order.
    """
    for file in files:
        if not file.is_file():
            raise PathPluginsError(f"{file}: no such file; give the archive, or all of its parts{near_path(file)}")
    if len(files) == 1 and _stem(files[0].name) != files[0].name:
        return Archive(name=_stem(files[0].name), parts=(files[0],))
    archives: dict[str, dict[str, Path]] = {}
    for file in files:
        if not (match := _PART.fullmatch(file.name)):
            raise PathPluginsError(
                f"{file}: is neither an archive ({', '.join(SUFFIXES)}) nor a part such as PTCGA200_p_aa or "
                "PTCGA200.tar.gz.00; leave it out or give it its name back"
            )
        places = archives.setdefault(match["before"], {})
        if match["place"] in places:
            raise PathPluginsError(f"{places[match['place']]} and {file} are the same part; leave one of them out")
        places[match["place"]] = file
    if len(archives) > 1:
        names = ", ".join(f"{before}*" for before in sorted(archives))
        raise PathPluginsError(f"these are parts of {len(archives)} archives: {names}; join one at a time")
    ((before, places),) = archives.items()
    return Archive(
        name=_stem(re.sub(r"[._-](p_|part)?$", "", before, flags=re.IGNORECASE)), parts=_ordered(places, before)
    )


def _ordered(places: dict[str, Path], before: str) -> tuple[Path, ...]:
    """Return the parts in order.

    Raises:
        PathPluginsError: some are missing, all of them named.
    """
    digits = all(place.isdecimal() for place in places)
    if not digits and (any(place.isdecimal() for place in places) or len({len(place) for place in places}) > 1):
        raise PathPluginsError(
            f"{before}* has parts {', '.join(sorted(places))}, whose order is not certain; expected all numbers, or "
            "letters of one length as `split` writes them"
        )
    numbers = {int(place) if digits else _letters(place): place for place in places}
    first = min(min(numbers), 1) if digits else 0
    if missing := [number for number in range(first, max(numbers)) if number not in numbers]:
        width = len(numbers[max(numbers)])
        names = [before + (f"{number:0{width}}" if digits else _word(number, width)) for number in missing]
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        raise PathPluginsError(
            f"parts that are missing before or between those given, {len(missing)} in number: {shown}; download them, "
            "then give all parts"
        )
    return tuple(places[numbers[number]] for number in sorted(numbers))


def _letters(place: str) -> int:
    number = 0
    for letter in place.lower():
        number = number * 26 + ord(letter) - ord("a")
    return number


def _word(number: int, width: int) -> str:
    letters = ""
    for _ in range(width):
        number, rest = divmod(number, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def _stem(name: str) -> str:
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


class Joined(io.RawIOBase):
    """The bytes of several files, one after the other, as one file to read."""

    def __init__(self, parts: Sequence[Path], told: Callable[[int], object] = lambda place: None) -> None:
        """Read ``parts``; ``told`` is called with the place reached, in bytes from the start."""
        self._parts, self._told = parts, told
        self._bounds = [0, *itertools.accumulate(part.stat().st_size for part in parts)]
        self._place = 0
        self._number, self._file = -1, None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place, bytes from the start of the first part."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; returns it."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._bounds[-1]}[whence]
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the part goes; 0 at the end of the last one."""
        if self._place >= self._bounds[-1]:
            return 0
        number = bisect.bisect_right(self._bounds, self._place) - 1
        if number != self._number:
            self._open(number)
        self._file.seek(self._place - self._bounds[number])
        count = self._file.readinto(buffer)
        if not count:
            raise OSError(f"{self._parts[number]} has become shorter while it was read; copy it again")
        self._place += count
        self._told(self._place)
        return count

    def close(self) -> None:
        """Close the part that is open."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _open(self, number: int) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._number = self._parts[number].open("rb", buffering=0), number
