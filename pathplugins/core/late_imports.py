"""Late imports: what a library imports for its rare uses is imported at the first of them, not at its own import."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def late_imports(late: Mapping[str, Sequence[str]], absent: Sequence[str] = ()) -> Iterator[None]:
    """Within the block, keep modules from being imported that are not there yet.

    Args:
        late: module -> functions and classes that are taken from it by name. Each is stood in for by one that imports
            the module when it is called, and then is the real one.
        absent: packages that seem not to be installed, to whoever looks within the block.
    """
    stand_ins: dict[str, ModuleType | None] = {name: _stand_in(name, names) for name, names in late.items()}
    stand_ins |= dict.fromkeys(absent)
    added = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(added)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in added.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]


def _stand_in(name: str, names: Sequence[str]) -> ModuleType:
    module = ModuleType(name)
    for each in names:
        setattr(module, each, _called_late(name, each))
    return module


def _called_late(module: str, name: str) -> Any:
    def late(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    late.__name__ = late.__qualname__ = name
    return late
