"""``pathplugins configs``: list and copy the trainer configurations that come with the package."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

FOLDERS = {"llamafactory": "llamafactory_configs", "xtuner": "xtuner_configs", "classify": "classify/configs"}
"""Trainer, the first part of a configuration's name -> folder; that of `pathplugins classify` is never beside it."""


def folder(trainer: str) -> Path:
    """Return the folder of a trainer's configurations: inside the installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / FOLDERS[trainer]
    return inside if inside.is_dir() else package.parent / FOLDERS[trainer]


def available() -> dict[str, Path]:
    """Return all configurations: name -> file, e.g. ``llamafactory/wsi_llava_stage2.yaml``."""
    files = {}
    for trainer in FOLDERS:
        root = folder(trainer)
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                files[f"{trainer}/{path.relative_to(root).as_posix()}"] = path
    return files


def copy(names: Sequence[str], directory: Path) -> list[Path]:
    """Copy configurations, or whole folders of them, into ``directory``, with the files they read; overwrite none.

    Args:
        names: names of `available`, folders of them, or file names where only one is called so.
        directory: where the copies go.

    Returns:
        The files written.

    Raises:
        PathPluginsError: a name is unknown, or a copy would overwrite another file; nothing was written.
    """
    files, targets = available(), {}
    for name in names:
        targets.update(_targets(name.rstrip("/"), files, directory))
    taken = [str(target) for target, source in targets.items() if target.exists() and not _same(target, source)]
    if taken:
        raise PathPluginsError(f"{', '.join(taken)} exists already: remove it or name another directory with --to")
    for target, source in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return list(targets)


def _targets(name: str, files: dict[str, Path], directory: Path) -> dict[Path, Path]:
    """Return where each file of ``name`` goes: target -> source."""
    called = [path for file, path in files.items() if name in (file, Path(file).name)]
    below = {file: path for file, path in files.items() if file.startswith(f"{name}/")}
    if len(called) == 1:
        return {directory / path.name: path for path in _with_bases(called[0])}
    if not below:
        raise PathPluginsError(unknown("configuration", name, files))
    parent = Path(name).parent  # a folder arrives as a folder, so that relative paths in it still hold
    return {directory / Path(file).relative_to(parent): path for file, path in below.items()}


def _with_bases(path: Path) -> list[Path]:
    """Return a configuration and those beside it that it reads (mmengine's ``read_base``)."""
    if path.suffix != ".py":
        return [path]
    bases = re.findall(r"^ +from \.(\w+) import \*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [path, *(found for base in bases for found in _with_bases(path.with_name(f"{base}.py")))]


def _same(target: Path, source: Path) -> bool:
    return target.is_file() and target.read_bytes() == source.read_bytes()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the names, one a line")
    copying = actions.add_parser("copy", help="copy files or folders of the list, with the files they read")
    copying.add_argument("names", nargs="+", metavar="NAME", help="of the list, its file name, or a folder: `xtuner`")
    copying.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="where to (default: here)")


def run(args: argparse.Namespace) -> int:
    """List or copy; print the names, or the files written."""
    lines = list(available()) if args.action == "list" else [str(path) for path in copy(args.names, args.to)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0
