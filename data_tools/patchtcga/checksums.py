"""MD5 checksums of an archive and of its parts, in the format of ``md5sum``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path

from .parts import SUFFIXES, Archive

_LINE = re.compile(r"\\?(?P<md5>[0-9a-f]{32})(?:\s+\*?(?P<name>.+))?", re.IGNORECASE)
_BSD = re.compile(r"MD5 ?\((?P<name>.+)\) ?= ?(?P<md5>[0-9a-f]{32})", re.IGNORECASE)
_BLOCK = 2**22


def read_checksums(path: Path) -> dict[str, str]:
    """Return file name -> MD5 of the lines of a checksum file; folders before names are of no account.

    Raises:
        PathPluginsError: no such file, or a line that is none of md5sum's, named.
    """
    if not path.is_file():
        raise PathPluginsError(f"--md5 {path}: no such file; expected lines of md5sum{near_path(path)}")
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip()) or _BSD.fullmatch(line.strip())
        if match is None or not match["name"]:
            raise PathPluginsError(
                f"{path}:{number} is {line[:80]!r}; expected `<32 hex digits>  <file name>` of md5sum"
            )
        name, md5 = re.split(r"[/\\]", match["name"].strip())[-1], match["md5"].lower()
        if found.setdefault(name, md5) != md5:
            raise PathPluginsError(f"{path}:{number} gives {name} a second MD5 {md5}, before {found[name]}; remove one")
    return found


def verify(archive: Archive, wanted: dict[str, str], told: Callable[[int], object] = lambda size: None) -> list[str]:
    """Compare all parts with their checksums, or the whole with that of the archive; every byte is read once.

    Args:
        archive: the archive.
        wanted: file name -> MD5.
        told: called with the number of bytes read since the last call.

    Returns:
        The MD5 of each part.

    Raises:
        PathPluginsError: a checksum is missing, or another than the file has: file, got, wanted.
    """
    whole = next((md5 for name, md5 in wanted.items() if _is_whole(name, archive)), None)
    lacking = [part.name for part in archive.parts if part.name not in wanted]
    if lacking and whole is None:
        raise PathPluginsError(
            f"no MD5 of {', '.join(lacking[:10])}{' ...' * (len(lacking) > 10)} nor of the whole archive; nothing was "
            "extracted: complete the checksum file, or pass --unverified to extract unchecked"
        )
    total, sums = hashlib.md5(usedforsecurity=False), []
    for part in archive.parts:
        digest = hashlib.md5(usedforsecurity=False)
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if whole is not None and len(archive.parts) > 1:
                    total.update(block)
                told(len(block))
        sums.append(digest.hexdigest())
        if (right := wanted.get(part.name, sums[-1])) != sums[-1]:
            raise _other(str(part), sums[-1], right, "download it again")
    if whole is not None:
        got = sums[0] if len(sums) == 1 else total.hexdigest()
        if got != whole:
            advice = "one of them is damaged, or the last ones are missing; download them again"
            raise _other(f"{archive.name} in {len(sums)} parts", got, whole, advice)
    return sums


def _is_whole(name: str, archive: Archive) -> bool:
    return any(name.casefold() == f"{archive.name}{suffix}".casefold() for suffix in SUFFIXES)


def _other(what: str, got: str, wanted: str, advice: str) -> PathPluginsError:
    return PathPluginsError(f"{what}: its MD5 is {got}, wanted {wanted}; nothing was extracted: {advice}")
