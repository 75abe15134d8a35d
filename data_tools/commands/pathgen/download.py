"""``pathdata pathgen download``: get the slides of a manifest from the GDC, whole and checked."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown
from pathplugins.published.pathgen import GDC_TERMS

from ...engine.progress import FAILED, bars, say
from ...pathgen.sources.download import Http, is_whole, place_of, run_gdc_client
from ...pathgen.sources.gdc import API, GdcFile, open_session, read_manifest
from ...pathgen.sources.terms import agree

CLIENT = "gdc-client"


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("manifest", type=Path, metavar="MANIFEST", help="of `pathgen manifest`, or from the GDC portal")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets <uuid>/<name>; whole files in it are left alone"
    )
    sub.add_argument(
        "--client",
        choices=("auto", "http", CLIENT),
        default="auto",
        help=f"auto: {CLIENT} where it is on PATH, else HTTP (default %(default)s)",
    )
    sub.add_argument("--workers", type=int, default=4, help="connections at once (default %(default)s)")
    sub.add_argument("--api", default=API, metavar="URL", help="of the GDC (default %(default)s)")
    sub.add_argument("--verify", action="store_true", help="read the files that are there for their md5, too")
    sub.add_argument("--yes", action="store_true", help="keep to the terms that are shown, without being asked")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if args.workers < 1:
        raise PathPluginsError(f"--workers must be 1 or more, got {args.workers}")
    files = read_manifest(args.manifest)
    client = _client(args.client)
    left = [file for file in files if not is_whole(place_of(args.out, file), file, verify=args.verify)]
    if there := len(files) - len(left):
        say(f"{there} of {len(files)} files are in {args.out} already")
    if not left:
        say(f"{args.out}: nothing is left to download")
        return 0
    agree(GDC_TERMS, yes=args.yes)
    args.out.mkdir(parents=True, exist_ok=True)
    _look_at_space(args.out, left)
    if unchecked := sum(not file.md5 for file in left):
        say(f"{unchecked} of {len(left)} files have no md5 in the manifest: nobody can tell whether they come whole")
    failures = []
    for number, (file, failure) in enumerate(_fetched(client, left, args), start=1):
        say(f"[{number}/{len(left)}] {file.name}: {f'failed: {failure}' if failure else _size(file)}")
        failures += [f"{file.name} ({file.id}): {failure}"] if failure else []
    if failures:
        report = [f"{len(failures)} of {len(files)} files failed:", *first_shown(failures)]
        say("\n".join([*report, "Run the same command to try these again; what came of them is kept."]))
        return FAILED
    say(f"{args.out}: all {len(files)} files are there")
    return 0


def _client(asked: str) -> str | None:
    """The path of gdc-client; None for HTTP."""
    found = None if asked == "http" else shutil.which(CLIENT)
    if asked == CLIENT and found is None:
        raise PathPluginsError(f"--client {CLIENT}: it is not on PATH; install it, or pass --client http")
    return found


def _fetched(client: str | None, files: Sequence[GdcFile], args: argparse.Namespace) -> Iterator[tuple[GdcFile, str]]:
    """Each file as it ends, with what went wrong, if something did."""
    if client is not None:
        say(f"{len(files)} files by {client}")
        code = run_gdc_client(client, files, args.out, None if args.api == API else args.api, args.workers)
        for file in files:
            whole = is_whole(place_of(args.out, file), file, verify=True)
            yield file, "" if whole else f"{CLIENT} ended with code {code} and left no whole file"
        return
    total = sum(file.size or 0 for file in files)
    with open_session(args.workers) as session, bars() as bar:
        task = bar.add_task("downloaded", total=total // 2**20 or None, unit="MiB")
        came = 0

        def told(size: int) -> None:
            nonlocal came
            came += size
            bar.update(task, completed=came // 2**20)

        http = Http(session=session, api=args.api, out=args.out, told=told)
        yield from http.fetch_all(files, args.workers)


def _look_at_space(out: Path, files: Sequence[GdcFile]) -> None:
    need, free = sum(file.size or 0 for file in files), shutil.disk_usage(out).free
    if need > free:
        say(f"{out} has {free / 1e9:.1f} GB free and the files need {need / 1e9:.1f} GB; some of them will fail")


def _size(file: GdcFile) -> str:
    return "there" if file.size is None else f"{file.size / 1e6:.1f} MB"
