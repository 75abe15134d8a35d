"""``pathdata pathgen manifest``: list the slides that a JSON needs as a GDC manifest."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import SHOWN

from ...engine.progress import FAILED, say
from ...pathgen.sources.gdc import API, GdcFile, open_session, write_manifest
from ...pathgen.sources.needed import Found, NeededSlide, files_at_gdc, files_by_id_alone, needed_slides
from ...records.report import BadRows
from ...slides.find import index_slides
from ...slides.missing import missing_slides
from ..options import read_options


@dataclass(frozen=True, kw_only=True)
class ManifestOptions:
    """The caption file, the manifest to write, and where slides are looked up."""

    json: Path
    out: Path
    slides: list[Path] | None = None
    api: str = API
    offline: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.out.exists() and self.json.exists() and self.out.samefile(self.json):
            raise PathPluginsError(f"--out {self.out} is the source itself; choose another name")
        if self.out.exists() and not self.overwrite:
            raise PathPluginsError(f"--out {self.out} exists; pass --overwrite to replace it, or choose another name")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("json", type=Path, metavar="JSON", help="PathGen-1.6M.json, PathGen-Instruct, or the like")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the manifest, for `pathgen download` or gdc-client"
    )
    sub.add_argument(
        "--slides",
        type=Path,
        action="append",
        metavar="DIR",
        help="leave out slides that are below it; may be repeated",
    )
    sub.add_argument("--api", default=API, metavar="URL", help="of the GDC (default %(default)s)")
    sub.add_argument(
        "--offline",
        action="store_true",
        help="use no network: rows with a file_id give a manifest without md5 and size, so nothing can be verified",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace the manifest if it exists")


def run(args: argparse.Namespace) -> int:
    """Write the manifest, and the list of slides that cannot be downloaded; returns the exit code."""
    options = read_options(args, ManifestOptions)
    with BadRows(options.out.with_name(f"{options.out.name}.bad.jsonl")) as bad_rows:
        needed = needed_slides(options.json, bad_rows)
        if bad := bad_rows.text(needed.patches + needed.repeats):
            say(bad)
    if not needed.slides:
        say("nothing was written; no row can be used")
        return FAILED
    repeats = f", {counted(needed.repeats, 'exact repeat')} left out" if needed.repeats else ""
    say(f"{options.json}: {counted(needed.patches, 'patch')} on {counted(len(needed.slides), 'slide')}{repeats}")
    local = index_slides(options.slides or [], wanted=needed.slides.keys(), tell=say)
    wanted = [slide for key, slide in needed.slides.items() if key not in local]
    found = _found(wanted, options)
    left = f"; {len(local)} more are below --slides already" if options.slides else ""
    if found.files:
        write_manifest(options.out, found.files.values())
        say(f"{options.out}: {counted(len(found.files), 'slide')}, {_bytes(found.files.values())}{left}")
    else:
        options.out.unlink(missing_ok=True)  # of an earlier run, which --overwrite gives up
        say(f"{options.out} was not written: no slide to download{left}")
    missing = missing_slides(needed.counts(needed.slides), {*local, *found.files})
    beside = options.out.with_name(f"{options.out.name}.missing.tsv")
    missing.write(beside)
    if missing.slides:
        reason = "have no file_id" if options.offline else f"cannot be downloaded from {options.api}"
        say(missing.text(reason, beside))
        reasons = [f"  {needed.slides[key].wsi_id}: {reason}" for key, reason in found.refused.items()]
        for line in reasons[:SHOWN]:
            say(line)
    return FAILED if bad or missing.slides else 0


def _found(wanted: Sequence[NeededSlide], options: ManifestOptions) -> Found:
    """Look the slides up at the GDC, or take them from their rows with ``--offline``."""
    if options.offline:
        say("--offline: md5 and size stay empty, so downloads cannot be verified")
        return files_by_id_alone(wanted)
    try:
        with open_session() as session:
            return files_at_gdc(wanted, session, options.api)
    except PathPluginsError as error:
        hint = "pass --offline to go by file_id alone" if any(slide.file_ids for slide in wanted) else "try again later"
        raise PathPluginsError(f"{error}; {hint}") from error


def _bytes(files: Iterable[GdcFile]) -> str:
    if any(file.size is None for file in files):
        return "of unknown size"
    return f"{sum(file.size for file in files) / 1e9:.1f} GB"
