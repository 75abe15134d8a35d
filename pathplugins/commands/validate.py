"""``pathplugins validate``: everything about a configuration that can be checked before a GPU is taken."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.findings import Finding, any_wrong, report
from pathplugins.core.nearest import near_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML of LLaMA-Factory, or config.py of XTuner")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as after the YAML of llamafactory-cli")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 where something is wrong."""
    with contextlib.redirect_stdout(sys.stderr):  # the trainers print samples
        found = validate(args.config, args.overrides)
    if args.json:
        told = [{"about": about, "ok": not said, "said": said} for about, said in found]
        text = json.dumps({"config": str(args.config), "ok": not any_wrong(found), "checks": told}, indent=2)
    else:
        text = report(str(args.config), found)
    sys.stdout.write(f"{text}\n")
    return int(any_wrong(found))


def validate(config: Path, overrides: list[str]) -> list[Finding]:
    """Return what the checks of the configuration's trainer find.

    Raises:
        PathPluginsError: it is no configuration, or none for a model of ours.
        MissingDependencyError: its trainer is not installed here.
    """
    if not is_file(config):
        raise PathPluginsError(
            f"{config}: no such file; give a YAML of LLaMA-Factory or a config.py{near_path(config)}"
        )
    if config.suffix in (".yaml", ".yml"):
        _need("llamafactory", "LLaMA-Factory", config)
        from pathplugins.llamafactory.validation import validate as of_llamafactory

        return of_llamafactory(config, overrides)
    if config.suffix == ".py":
        if overrides:
            raise PathPluginsError(f"{' '.join(overrides)}: overrides are LLaMA-Factory's; write them into {config}")
        _need("xtuner", "XTuner", config)
        from pathplugins.xtuner.validation import validate as of_xtuner

        return of_xtuner(config)
    raise PathPluginsError(f"{config}: give a .yaml of LLaMA-Factory or a .py of XTuner")


def _need(package: str, name: str, config: Path) -> None:
    if find_spec(package) is None:
        raise MissingDependencyError(f"{name} is needed to look at {config}: run this where it is installed")
