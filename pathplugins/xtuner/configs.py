"""Configs of XTuner, read outside of ``xtuner train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.errors import MissingDependencyError, PathPluginsError


def read_config(path: Path) -> Any:
    """Read the config at ``path`` as ``xtuner train`` would.

    Raises:
        MissingDependencyError: XTuner is not installed here.
        PathPluginsError: There is no such file.
    """
    try:
        import xtuner.registry  # noqa: F401 - what a config names is looked up there
        from mmengine.config import Config
    except ImportError as error:
        raise MissingDependencyError(
            f"XTuner is needed to read its configs: pip install 'xtuner[deepspeed]' ({error})"
        ) from error
    if not path.is_file():
        raise PathPluginsError(
            f"{path} does not exist; give an XTuner config, e.g. one that `pathplugins configs copy` brings"
        )
    return Config.fromfile(str(path))
