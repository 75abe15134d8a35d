"""Registry: look parts up by exact name, load them on first use; other packages add theirs by entry points."""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OURS = "pathplugins"
_BROKEN = (ImportError, AttributeError, NameError, SyntaxError, TypeError, ValueError, OSError, RuntimeError)
"""Exceptions of a module that cannot be imported, or lacks the attribute that an entry point names."""


class Registry:
    """Name -> part, where a part is an object or a ``"package.module:attribute"`` string loaded when asked for.

    Args:
        kind: what the parts are called in messages, e.g. ``"token selector"``.
        targets: our own parts.
        group: entry points through which other installed packages add parts, e.g. ``"pathplugins.selectors"``. They
            are read when the registry is first asked, once in a process, and each is imported only when asked for.
        elsewhere: names that are no parts -> what to do instead, for the error.
    """

    def __init__(
        self,
        kind: str,
        targets: dict[str, Any] | None = None,
        *,
        group: str | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self._kind = kind
        self.elsewhere = dict(elsewhere or {})
        self._targets: dict[str, Any] = dict(targets or {})
        self._group = group

    def register(self, name: str, target: Any) -> None:
        """Add a part. The same pair may be added twice; another target under a taken name is a ``ValueError``."""
        if self._targets.setdefault(name, target) is not target and self._targets[name] != target:
            raise ValueError(f"{self._kind} {name!r} is already {self._targets[name]!r}; choose another name")

    def get(self, name: str) -> Any:
        """Return the part called exactly ``name``.

        Raises:
            PathPluginsError: nobody has the name (the message gives the nearest), several packages have it, or the
                package that has it cannot be imported.
        """
        added = self._added().get(name, ())
        if len(owners := [*([OURS] if name in self._targets else []), *(_owner(entry) for entry in added)]) > 1:
            raise PathPluginsError(
                f"{self._kind} {name!r} comes from {' and from '.join(owners)} (entry points {self._group}); "
                "rename it in one of them, or uninstall one"
            )
        if added:
            return self._imported(added[0])
        if name not in self._targets:
            raise PathPluginsError(unknown(self._kind, name, self))
        return loaded(self._targets[name])

    def owner(self, name: str) -> str:
        """Return the distribution and version that ``name`` comes from, ``pathplugins`` for our own parts."""
        return " and ".join([*([OURS] if name in self._targets else []), *map(_owner, self._added().get(name, ()))])

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._added()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._targets, *self._added()}))

    def _added(self) -> dict[str, tuple[EntryPoint, ...]]:
        """Return the entry points of other packages by their name."""
        return _entry_points(self._group) if self._group else {}

    def _imported(self, entry: EntryPoint) -> Any:
        try:
            return entry.load()
        except _BROKEN as error:
            raise PathPluginsError(
                f"{self._kind} {entry.name!r} of {_owner(entry)} cannot be loaded from {entry.value}: "
                f"{type(error).__name__}: {error}; correct or uninstall that package"
            ) from error


def loaded(target: Any) -> Any:
    """Return ``target``, imported first where it is a ``"package.module:attribute"`` string."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def unknown(kind: str, name: str, known: Any) -> str:
    """Return the message for a name nobody knows: the nearest known name, then all; or what a registry says of it."""
    if isinstance(known, Registry) and name in known.elsewhere:
        return f"{kind} {name!r}: {known.elsewhere[name]}"
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(known))}"


@functools.cache
def _entry_points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of ``group`` by name; several under one name, by package, where packages collide.

    Reading them takes tens of milliseconds, as every installed package is looked at.
    """
    from importlib.metadata import entry_points  # 20 ms, which no start of a command should pay for nothing

    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, {})[_owner(entry), entry.value] = entry  # a package may be found in two folders
    return {name: tuple(entry for _, entry in sorted(same.items())) for name, same in found.items()}


def _owner(entry: EntryPoint) -> str:
    """Return distribution and version of an entry point."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
