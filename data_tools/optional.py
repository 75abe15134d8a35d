"""Optional packages: import one when it is needed, or say how to install it."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
from typing import Any

from pathplugins.core.errors import MissingDependencyError


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
            f"{module} is needed for this step and does not import ({error}); install it: {install_line(extra)}"
        ) from error


def require(*modules: str, extra: str = "wsi") -> None:
    """Import modules of optional packages, so that a run lacking one stops before it starts.

    Raises:
        MissingDependencyError: some do not import, all of them named.
    """
    missing = []
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            missing.append(f"{module} ({error})")
    if missing:
        names, verb = " and ".join(missing), "does" if len(missing) == 1 else "do"
        raise MissingDependencyError(f"needed and {verb} not import: {names}; install: {install_line(extra)}")


def install_line(extra: str) -> str:
    """Return the command that installs the packages of an extra, which our own metadata list."""
    try:
        requirements = importlib.metadata.requires("pathplugins") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    wanted = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    packages = [line.partition(";")[0].strip() for line in requirements if wanted.search(line)]
    if packages:
        return shlex.join(["pip", "install", *packages])
    return f"pip install '.[{extra}]' in a checkout of pathplugins"
