"""A symbol of a trainer that we lean on, and the check that it has not changed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pathplugins.core.errors import HostDriftError
from pathplugins.core.versions import describe

PUBLIC = "never: it is the trainer's public way"


@dataclass(frozen=True, kw_only=True)
class TouchPoint:
    """One symbol of a trainer."""

    path: str
    """``package.module:attribute``; the attribute may be dotted."""
    uses: tuple[str, ...] = ()
    """What we need of it: parameters of a callable, keys of a dict, names of the classes in a list."""
    why: str
    """What would not work without it."""
    drop_when: str = PUBLIC
    """When this entry can go."""
    replaced: str = ""
    """When ours stands in its place: ``always``, ``without a GPU`` ...; empty where we only use it or subclass it."""
    optional: bool = False
    """Its module need not be there in every tested version."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One name of ours that a trainer must know once its modules are imported."""

    kind: str
    """What the name is, for people."""
    table: str
    """``package.module:attribute`` of the dict, or of the list of argument classes, that must hold it."""
    name: str
    """A key of the dict, or a field of one of the classes."""


def resolve(path: str) -> Any:
    """Return the object at ``package.module:attribute``; a ``HostDriftError`` names what is gone and the versions."""
    module_name, _, attributes = path.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:  # OSError: a shared library of another torch
        host = describe(module_name.partition(".")[0])
        raise HostDriftError(f"{path} cannot be used: {error}; {host}, install a tested version") from error
    return target


def check(points: Iterable[TouchPoint]) -> list[str]:
    """Return one sentence for each point that no longer holds; imports the trainer."""
    problems = []
    for point in points:
        try:
            target = resolve(point.path)
            missing = sorted(set(point.uses) - _offers(target)) if point.uses else []
        except HostDriftError as error:
            if point.optional and isinstance(error.__cause__, ModuleNotFoundError):
                continue
            problems.append(f"{error} (needed: {point.why})")
            continue
        if missing:
            host = describe(point.path.partition(".")[0])
            problems.append(f"{point.path} no longer has {', '.join(missing)}; {host} (needed: {point.why})")
    return problems


def is_registered(entry: Registration) -> bool:
    """Whether the trainer knows ``entry`` in this process; imports the trainer."""
    table = resolve(entry.table)
    if isinstance(table, dict):
        return entry.name in table
    return any(entry.name == field.name for cls in table if is_dataclass(cls) for field in fields(cls))


def _offers(target: Any) -> set[str]:
    if isinstance(target, dict):
        return set(target)
    if isinstance(target, (list, tuple)):
        return {base.__name__ for cls in target for base in inspect.getmro(cls)}  # subclasses of ours count as theirs
    return set(inspect.signature(target).parameters)
