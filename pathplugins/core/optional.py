"""Optional packages: import one when it is needed, or say how to install it."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
import sys
from typing import Any

from pathplugins.core.errors import MissingDependencyError

WITH_A_TRAINER = ("transformers",)
"""Packages of no extra: the trainers bring them, in the version that they want."""

_PYTHON = re.compile(r"""python_version\s*>=\s*["'](\d+\.\d+)["']""")


def need(module: str, *, extra: str = "wsi") -> Any:
    """Import a module of an optional package, and return it.

    Args:
        module: Dotted name.
        extra: The extra of pathplugins that brings the package.

    Raises:
        MissingDependencyError: it does not import; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: openslide-python without OpenSlide, torch with a broken CUDA
        raise MissingDependencyError(
            f"{module} is needed for this step and does not import ({error}); install it: {install_line(extra, module)}"
        ) from error


def require(*modules: str, extra: str = "wsi") -> None:
    """Import modules of optional packages, so that a run lacking one stops before it starts.

    Raises:
        MissingDependencyError: some do not import, all of them named.
    """
    missing: dict[str, str] = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            missing[module] = f"{module} ({error})"
    if missing:
        names, verb = " and ".join(missing.values()), "does" if len(missing) == 1 else "do"
        raise MissingDependencyError(f"needed and {verb} not import: {names}; install: {install_line(extra, *missing)}")


def install_line(extra: str, *modules: str) -> str:
    """Return the command that installs the packages of an extra, which our own metadata list.

    Args:
        extra: an extra of pathplugins.
        modules: those that are missing; a package that no extra lists is added to the command.
    """
    try:
        requirements = importlib.metadata.requires("pathplugins") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    wanted = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    lines = [line for line in requirements if wanted.search(line)]
    packages = [line.partition(";")[0].strip() for line in lines]
    packages += [package for package in WITH_A_TRAINER if package in {name.partition(".")[0] for name in modules}]
    if requirements:
        return shlex.join(["pip", "install", *packages]) + _newer_python(lines)
    return f"pip install '.[{extra}]' in a checkout of pathplugins"


def _newer_python(requirements: list[str]) -> str:
    """Name the packages that pip cannot install into this Python, since their markers ask for a newer one."""
    marked = [(line.partition(";")[0].strip(), _PYTHON.search(line)) for line in requirements]
    newer = {package: found[1] for package, found in marked if found and _numbers(found[1]) > sys.version_info[:2]}
    if not newer:
        return ""
    here = ".".join(map(str, sys.version_info[:2]))
    return f" ({', '.join(newer)}: in an environment of Python {max(newer.values(), key=_numbers)}, this is {here})"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
