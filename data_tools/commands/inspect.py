"""``pathdata inspect``: name the kind and convention of feature and patch files, and every fault in them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.walk import files_below

from ..engine.progress import FAILED
from .options import read_options

if TYPE_CHECKING:
    from pathplugins.data.bags.contract import BagContract

    from ..bags.findings import Report


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The files to inspect, and what is known about them but not recorded."""

    files: list[Path]
    coords_mpp: float | None = None
    width: int | None = None
    encoder: str | None = None
    model: Path | None = None
    allow_other_encoder: bool = False
    json: bool = False


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="bags, features, patch files, or folders")
    sub.add_argument(
        "--coords-mpp",
        type=float,
        metavar="MPP",
        help="microns per stored pixel of bags that record none, as in a trainer's configuration",
    )
    sub.add_argument("--width", type=int, metavar="D", help="features must be this wide")
    sub.add_argument("--encoder", metavar="NAME", help="features must be of this patch encoder")
    sub.add_argument(
        "--model", type=Path, metavar="DIR", help="judge bags by what this model directory's vision tower expects"
    )
    sub.add_argument("--allow-other-encoder", action="store_true", help="accept features of any patch encoder, mixed")
    sub.add_argument("--json", action="store_true", help="print a list of reports as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a report of every file; returns the exit code."""
    from ..bags.findings import reports_of

    options = read_options(args, InspectOptions)
    contract = _contract(options)
    reports: list[Report] = []
    for path in _files(options.files):
        for report in reports_of(path, coords_mpp=options.coords_mpp, contract=contract):
            reports.append(report)
            if not options.json:
                sys.stdout.write(_text(report))
    if contract.expects_encoder is None and not options.allow_other_encoder:
        _find_mixed(reports)
    _note_magnifications(reports)
    if options.json:
        sys.stdout.write(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    wrong = sum(bool(report.wrong) for report in reports)
    if wrong:
        sys.stderr.write(f"{wrong} of {len(reports)} reports name a fault: correct these files, or leave them out\n")
    return FAILED if wrong else 0


def _contract(options: InspectOptions) -> BagContract:
    """Return what the bags are judged by: the model's tower, else GigaPath's frame and grid, and the options."""
    from pathplugins.data.bags.contract import BagContract, contract_in

    contract = BagContract()
    if options.model is not None:
        path = options.model / "preprocessor_config.json"
        if not path.is_file():
            raise PathPluginsError(
                f"--model {options.model}: no preprocessor_config.json in it; give a directory of 'pathplugins compose'"
            )
        settings = read_json(path)
        if "feature_dim" not in settings:
            raise PathPluginsError(f"--model {options.model}: it reads images, no feature bags; leave --model out")
        contract = contract_in(settings)
    given = {"feature_dim": options.width, "expects_encoder": options.encoder}
    contract = replace(contract, **{name: value for name, value in given.items() if value is not None})
    return replace(contract, expects_encoder=None) if options.allow_other_encoder else contract


def _find_mixed(reports: list[Report]) -> None:
    """Add a finding to each report of another encoder than most of those inspected."""
    from pathplugins.data.bags.encoders import unfit_encoders

    encoders = {report.path: report.facts["encoder"] for report in reports if report.facts.get("encoder")}
    unfit = unfit_encoders(encoders, None)
    for report in reports:
        if report.path in unfit:
            report.wrong.append(unfit[report.path].removeprefix(f"{report.path}: "))
            sys.stderr.write(f"{unfit[report.path]}\n")


def _note_magnifications(reports: list[Report]) -> None:
    """Add a note to each report whose patches are of another magnification than most of those inspected."""
    from pathplugins.data.bags.magnifications import magnifications_text, other_magnifications

    mpps = {report.path: report.facts.get("mpp") for report in reports if "width" in report.facts}
    others = other_magnifications(mpps)
    for report in reports:
        report.notes += [others[report.path]] if report.path in others else []
    if said := magnifications_text(mpps):
        sys.stderr.write(f"{said}\n")


def _files(paths: list[Path]) -> list[Path]:
    """Return the files among ``paths`` and below its folders, but for the lists of slides of work folders."""
    from ..bags.kinds import SUFFIXES

    files: list[Path] = []
    for path in paths:
        found = files_below(path) if path.is_dir() else []
        inside = [p for p in found if p.suffix in SUFFIXES and not p.match("process_list*.csv")]  # ours and CLAM's
        if path.is_dir() and not inside:
            raise PathPluginsError(f"{path}: no {', '.join(SUFFIXES)} file in this folder; name the folder of the bags")
        files += inside if path.is_dir() else [path]
    return files


def _text(report: Report) -> str:
    lines = [f"{report.path}: {report.what}"]
    lines += [f"  {name.replace('_', ' ')}: {_shown(value)}" for name, value in report.facts.items()]
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  WRONG: {finding}" for finding in report.wrong] or ["  nothing wrong found"]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
