"""``pathdata patchtcga join``: check an archive, whole or in parts, and unpack it to a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json
from pathplugins.published.patchtcga import DATASETS

from ...engine.locks import Held, holding
from ...engine.progress import bars, say
from ...patchtcga.checksums import read_checksums, verify
from ...patchtcga.parts import Archive, archive_of
from ...patchtcga.unpack import Place, finished, stamps_of, unpack
from ..options import read_options

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class JoinOptions:
    """The archive, its checksums and the folder of data sets."""

    files: Sequence[Path]
    out: Path
    md5: Path | None = None
    unverified: bool = False

    def __post_init__(self) -> None:
        if (self.md5 is None) != self.unverified:
            raise PathPluginsError(
                "pass --md5 FILE with the checksums from the page of the download, or --unverified to go without"
            )


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the step."""
    sub.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="all parts in any order, or one .tar.gz, .tar or .zip"
    )
    sub.add_argument("--md5", type=Path, metavar="FILE", help="checksums of the parts or of the whole, as of md5sum")
    sub.add_argument("--unverified", action="store_true", help="extract without checksums")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the folder of the data set")


def run(args: argparse.Namespace) -> int:
    """Verify and unpack; returns the exit code."""
    options = read_options(args, JoinOptions)
    archive = archive_of(options.files)
    place = Place(out=options.out, name=archive.name)
    wanted = None if options.md5 is None else read_checksums(options.md5)
    try:
        with holding(options.out / f".{archive.name}.lock"):
            if target := finished(place, archive):
                say(f"{target}: done already, from the same {len(archive.parts)} files; nothing to do")
                return 0
            say(_terms(archive))
            _verify(place, archive, wanted)
            _unpack(place, archive)
    except Held as held:
        raise PathPluginsError(f"{options.out}: another join of {archive.name} runs, {held}; wait for it") from held
    return 0


def _terms(archive: Archive) -> str:
    """Return the notice of the licence of what is being unpacked."""
    known = [dataset for kind, dataset in DATASETS.items() if kind in archive.name.casefold()]
    if not known:
        return f"{archive.name}: no terms of use are known here; keep to those of its source"
    return f"Terms, as far as they are known; read the originals:\n- {known[0].terms()}"


def _verify(place: Place, archive: Archive, wanted: dict[str, str] | None) -> None:
    """Compare the checksums, unless an earlier run did so with the same files and checksums."""
    stamps, state = stamps_of(archive), place.state()
    if state.get("parts") != stamps:
        if place.partial.exists():
            raise PathPluginsError(
                f"{place.partial} was unpacked from other files, or from parts that have changed since; remove it to "
                "begin anew"
            )
        state = {}
    if wanted is None:
        say(f"{archive.name}: {len(archive.parts)} files, {archive.size / 1e9:.2f} GB, not verified (--unverified)")
    elif state.get("wanted") == wanted:
        say(f"{archive.name}: verified by an earlier run")
    else:
        with bars() as bar:
            task = bar.add_task("verified", total=archive.size // MIB, unit="MiB")
            read = 0

            def told(size: int) -> None:
                nonlocal read
                read += size
                bar.update(task, completed=read // MIB)

            verify(archive, wanted, told)
        say(f"{archive.name}: {len(archive.parts)} files, {archive.size / 1e9:.2f} GB, MD5 right")
    write_json(place.state_file, {"parts": stamps, "wanted": wanted})


def _unpack(place: Place, archive: Archive) -> None:
    if place.partial.exists():
        say(f"{archive.name}: going on with what an earlier run unpacked")
    with bars() as bar:
        task = bar.add_task("unpacked", total=archive.size // MIB, unit="MiB")
        target, files = unpack(place, archive, lambda at: bar.update(task, completed=at // MIB))
    say(f"{target}: {files} files from {archive.size / 1e9:.2f} GB; see `pathdata patchtcga inspect {target}`")
