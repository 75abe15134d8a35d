"""Registry: look parts up by exact name, load them on first use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from typing import Any


class Registry:
    """Name -> part, where a part is an object or a ``"package.module:attribute"`` string loaded when asked for.

    ``kind`` is what the parts are called in messages, e.g. ``"token selector"``.
    """

    def __init__(self, kind: str, targets: dict[str, Any] | None = None) -> None:
        self._kind = kind
        self._targets: dict[str, Any] = dict(targets or {})

    def register(self, name: str, target: Any) -> None:
        """Add a part. The same pair may be added twice; another target under a taken name is a ``ValueError``."""
        if self._targets.setdefault(name, target) is not target and self._targets[name] != target:
            raise ValueError(f"{self._kind} {name!r} is already {self._targets[name]!r}; choose another name")

    def get(self, name: str) -> Any:
        """The part called exactly ``name``; a ``ValueError`` names the nearest known one."""
        if name not in self._targets:
            raise ValueError(unknown(self._kind, name, self._targets))
        target = self._targets[name]
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = getattr(importlib.import_module(module), attribute)
        return target

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))


def unknown(kind: str, name: str, known: Any) -> str:
    """The message for a name nobody knows: the nearest known name, then all of them."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(known))}"
