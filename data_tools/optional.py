"""Optional packages: import one when it is needed, or say how to install it."""

from __future__ import annotations

import importlib
from typing import Any

from pathplugins.core.errors import MissingDependencyError


def need(module: str, *, extra: str = "wsi") -> Any:
    """The imported ``module``; a ``MissingDependencyError`` names the extra that brings it.

    ``OSError`` is openslide-python without the OpenSlide library, or torch with a broken CUDA library.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"{module} is needed for this step and does not import ({error}): pip install 'pathplugins[{extra}]'"
        ) from error
