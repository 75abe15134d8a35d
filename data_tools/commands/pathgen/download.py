"""``pathdata pathgen download``: get the slides of a manifest from the GDC, whole and checked."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown
from pathplugins.published.pathgen import GDC_TERMS

from ...engine.progress import FAILED, bars, say
from ...pathgen.sources.download import Http, is_whole, place_of, run_gdc_client
from ...pathgen.sources.gdc import API, GdcFile, open_session, read_manifest
from ...pathgen.sources.terms import agree
from ..options import read_options

CLIENT = "gdc-client"


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """The manifest, the folder of the slides, and how they are downloaded."""

    manifest: Path
    out: Path
    client: str = "auto"
    workers: int = 4
    api: str = API
    verify: bool = False
    yes: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise PathPluginsError(f"--workers must be at least 1, got {self.workers}")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("manifest", type=Path, metavar="MANIFEST", help="of `pathgen manifest`, or from the GDC portal")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets <uuid>/<name>; complete files in it are kept"
    )
    sub.add_argument(
        "--client",
        choices=("auto", "http", CLIENT),
        default="auto",
        help=f"auto: {CLIENT} where it is on PATH, else HTTP (default %(default)s)",
    )
    sub.add_argument("--workers", type=int, default=4, help="connections at once (default %(default)s)")
    sub.add_argument("--api", default=API, metavar="URL", help="of the GDC (default %(default)s)")
    sub.add_argument("--verify", action="store_true", help="compare the md5 of existing files as well")
    sub.add_argument("--yes", action="store_true", help="agree to the terms that are shown, without being asked")


def run(args: argparse.Namespace) -> int:
    """Download the slides; returns the exit code."""
    options = read_options(args, DownloadOptions)
    files = read_manifest(options.manifest)
    client = _client(options.client)
    left = [file for file in files if not is_whole(place_of(options.out, file), file, verify=options.verify)]
    if complete := len(files) - len(left):
        say(f"{complete} of {len(files)} files are in {options.out} already")
    if not left:
        say(f"{options.out}: nothing is left to download")
        return 0
    agree(GDC_TERMS, yes=options.yes)
    options.out.mkdir(parents=True, exist_ok=True)
    _warn_of_space(options.out, left)
    if unchecked := sum(not file.md5 for file in left):
        say(f"{unchecked} of {len(left)} files have no md5 in the manifest: they cannot be verified")
    failures = []
    for number, (file, failure) in enumerate(_fetched(client, left, options), start=1):
        say(f"[{number}/{len(left)}] {file.name}: {f'failed: {failure}' if failure else _size(file)}")
        failures += [f"{file.name} ({file.id}): {failure}"] if failure else []
    if failures:
        report = [f"{len(failures)} of {len(files)} files failed:", first_shown(failures)]
        say("\n".join([*report, "Run the same command to try these again; partial downloads are kept."]))
        return FAILED
    say(f"{options.out}: all {len(files)} files are complete")
    return 0


def _client(asked: str) -> str | None:
    """Return the path of gdc-client; None for HTTP."""
    found = None if asked == "http" else shutil.which(CLIENT)
    if asked == CLIENT and found is None:
        raise PathPluginsError(f"--client {CLIENT}: it is not on PATH; install it, or pass --client http")
    return found


def _fetched(client: str | None, files: Sequence[GdcFile], options: DownloadOptions) -> Iterator[tuple[GdcFile, str]]:
    """Yield each file when its download ends, with the error, or ``""``."""
    if client is not None:
        say(f"{counted(len(files), 'file')} by {client}")
        code = run_gdc_client(client, files, options.out, None if options.api == API else options.api, options.workers)
        for file in files:
            whole = is_whole(place_of(options.out, file), file, verify=True)
            yield file, "" if whole else f"{CLIENT} ended with code {code} and left no complete file"
        return
    total = sum(file.size or 0 for file in files)
    with open_session(options.workers) as session, bars() as bar:
        task = bar.add_task("downloaded", total=total // 2**20 or None, unit="MiB")
        came = 0

        def told(size: int) -> None:
            nonlocal came
            came += size
            bar.update(task, completed=came // 2**20)

        http = Http(session=session, api=options.api, out=options.out, told=told)
        yield from http.fetch_all(files, options.workers)


def _warn_of_space(out: Path, files: Sequence[GdcFile]) -> None:
    """Say if the disk has less space than the files need."""
    need, free = sum(file.size or 0 for file in files), shutil.disk_usage(out).free
    if need > free:
        say(f"{out} has {free / 1e9:.1f} GB free and the files need {need / 1e9:.1f} GB; make room")


def _size(file: GdcFile) -> str:
    return "complete" if file.size is None else f"{file.size / 1e6:.1f} MB"
