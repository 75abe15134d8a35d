"""The trainer configurations that come with the package: find, list, copy."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

FOLDERS = {"llamafactory": "llamafactory_configs", "xtuner": "xtuner_configs"}
"""Trainer, the first part of a configuration's name -> folder."""


def folder(trainer: str) -> Path:
    """Where the configurations of a trainer lie: inside the installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / FOLDERS[trainer]
    return inside if inside.is_dir() else package.parent / FOLDERS[trainer]


def available() -> dict[str, Path]:
    """Name -> file, e.g. ``llamafactory/custom_llava/align.yaml``."""
    files = {}
    for trainer in FOLDERS:
        root = folder(trainer)
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                files[f"{trainer}/{path.relative_to(root).as_posix()}"] = path
    return files


def copy(name: str, directory: Path) -> list[Path]:
    """Copy one file, or all files of a folder, into ``directory``; refuses to overwrite."""
    files = available()
    below = {file: path for file, path in files.items() if file.startswith(f"{name.rstrip('/')}/")}
    if name in files:
        targets = {directory / files[name].name: files[name]}
    elif below:
        parent = Path(name.rstrip("/")).parent  # a folder arrives as a folder, so that relative paths in it still hold
        targets = {directory / Path(file).relative_to(parent): path for file, path in below.items()}
    else:
        raise PathPluginsError(unknown("configuration", name, files))
    taken = [str(target) for target in targets if target.exists()]
    if taken:
        raise PathPluginsError(f"{', '.join(taken)} exists already: remove it or name another directory")
    for target, source in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return list(targets)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pathplugins configs``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the names, one a line")
    copying = actions.add_parser("copy", help="copy a file or a folder of the list")
    copying.add_argument("name", help="a name of the list, or a folder of names such as `xtuner`")
    copying.add_argument("directory", nargs="?", type=Path, default=Path(), help="where to (default: here)")


def run(args: argparse.Namespace) -> int:
    """List or copy; prints names or the files written."""
    lines = list(available()) if args.action == "list" else [str(path) for path in copy(args.name, args.directory)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0
