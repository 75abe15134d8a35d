"""Which folders of tests an environment can run: an adapter's need its trainer; what is not looked at for garbage."""

from __future__ import annotations

import gc
import sys
from importlib.metadata import PackageNotFoundError, version

MANY_MODULES = 100
"""Imported since; they are looked at again and again, and none of them ever goes."""
_frozen_modules = 0


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


# `make test` names the folders of each trainer, so that none is left out unseen.
collect_ignore = [name for name in ("llamafactory", "xtuner") if not _installed(name)]


def pytest_runtest_setup() -> None:
    """Keep modules out of the search for garbage: Transformers has one, of half a second, whenever it loads a model."""
    global _frozen_modules
    if len(sys.modules) > _frozen_modules + MANY_MODULES:
        gc.collect()
        gc.freeze()
        _frozen_modules = len(sys.modules)
