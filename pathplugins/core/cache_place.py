"""Where files are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return where composed directories are kept: ``PATHPLUGINS_CACHE``, else ``~/.cache/pathplugins``."""
    return Path(os.environ.get("PATHPLUGINS_CACHE") or Path.home() / ".cache" / "pathplugins").absolute()
