"""``pathdata pathgen manifest``: list the slides that a JSON needs as a GDC manifest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import SHOWN

from ...engine.progress import FAILED, say
from ...pathgen.sources.gdc import API, GdcFile, open_session, write_manifest
from ...pathgen.sources.needed import Found, NeededSlide, files_at_gdc, files_by_id_alone, needed_slides
from ...records.report import BadRows
from ...slides.find import index_slides
from ...slides.missing import missing_slides


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("json", type=Path, metavar="JSON", help="PathGen-1.6M.json, PathGen-Instruct, or the like")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the manifest, for `pathgen download` or gdc-client"
    )
    sub.add_argument(
        "--slides", type=Path, action="append", metavar="DIR", help="leave out the slides that are below it already"
    )
    sub.add_argument("--api", default=API, metavar="URL", help="of the GDC (default %(default)s)")
    sub.add_argument(
        "--offline",
        action="store_true",
        help="ask nobody: rows with a file_id give a manifest without md5 and size, so that nothing can be verified",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if args.out.exists() and args.json.exists() and args.out.samefile(args.json):
        raise PathPluginsError(f"--out {args.out} is the source itself; choose another name")
    if args.out.exists() and not args.overwrite:
        raise PathPluginsError(f"{args.out} is there already; pass --overwrite to replace it")
    with BadRows(args.out.with_name(f"{args.out.name}.bad.jsonl")) as bad_rows:
        needed = needed_slides(args.json, bad_rows)
        if bad := bad_rows.text(needed.patches + needed.repeats):
            say(bad)
    if not needed.slides:
        say("nothing was written; no row can be used")
        return FAILED
    repeats = f", {needed.repeats} exact repeats left out" if needed.repeats else ""
    say(f"{args.json}: {needed.patches} patches on {len(needed.slides)} slides{repeats}")
    there = index_slides(args.slides or [], wanted=needed.slides.keys(), tell=say)
    wanted = [slide for key, slide in needed.slides.items() if key not in there]
    found = _found(wanted, args)
    write_manifest(args.out, found.files.values())
    left = f"; {len(there)} more are there already" if args.slides else ""
    say(f"{args.out}: {len(found.files)} slides, {_bytes(found.files.values())}{left}")
    missing = missing_slides(needed.counts(needed.slides), {*there, *found.files})
    beside = args.out.with_name(f"{args.out.name}.missing.tsv")
    missing.write(beside)
    if missing.slides:
        say(missing.text("have no file_id" if args.offline else f"cannot be had from {args.api}", beside))
        reasons = [f"  {needed.slides[key].wsi_id}: {reason}" for key, reason in found.refused.items()]
        for reason in reasons[:SHOWN]:
            say(reason)
    return FAILED if bad or missing.slides else 0


def _found(wanted: Sequence[NeededSlide], args: argparse.Namespace) -> Found:
    if args.offline:
        say("--offline: md5 and size stay empty, so nothing that is downloaded can be verified")
        return files_by_id_alone(wanted)
    try:
        with open_session() as session:
            return files_at_gdc(wanted, session, args.api)
    except PathPluginsError as error:
        hint = "pass --offline to go by file_id alone" if any(slide.file_ids for slide in wanted) else "try again later"
        raise PathPluginsError(f"{error}; {hint}") from error


def _bytes(files: Sequence[GdcFile]) -> str:
    if any(file.size is None for file in files):
        return "of unknown size"
    return f"{sum(file.size for file in files) / 1e9:.1f} GB"
