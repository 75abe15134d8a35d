"""Outcome of one slide, and whether a file that exists is the one asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import PathPluginsError


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the steps of one slide ended: plain values, so that they can come back from another process."""

    slide_id: str
    status: Literal["done", "skipped"]
    """``skipped``: its file existed already, made with the same settings."""
    patches: int
    notes: tuple[str, ...] = ()
    """Facts that the user should know although the slide is done."""
    areas: str | None = None
    """Shares of the slide that are tissue or left out (``Areas.to_json``); None where nobody looked."""


def recorded_settings(path: Path, attribute: str, *, absent: str = "{}") -> str:
    """Return the settings in a root attribute of an H5 file, as JSON; ``absent`` for a file of another tool.

    Raises:
        PathPluginsError: it cannot be read.
    """
    import h5py  # not for those who only ask for a status

    from pathplugins.data.bags.damage import damage_named

    with damage_named(path, then="delete it or pass --overwrite"), h5py.File(path, "r") as file:
        return str(file.attrs.get(attribute, absent))


def check_same_settings(path: Path, *, found: str, wanted: str) -> None:
    """Refuse a file that was made with other settings than those asked for.

    Args:
        path: The file, for the message.
        found: Its settings, a JSON object.
        wanted: The settings of this run, a JSON object.

    Raises:
        PathPluginsError: the two differ; the message names each setting that does.
    """
    if found == wanted:
        return
    old, new = json.loads(found), json.loads(wanted)
    absent = object()  # a setting may be recorded as null
    changed = [key for key in sorted({*old, *new}) if old.get(key, absent) != new.get(key, absent)]
    there = ", ".join(f"{key} {old.get(key, 'not set')}" for key in changed)
    now = ", ".join(f"{key} {new.get(key, 'not set')}" for key in changed)
    raise PathPluginsError(
        f"{path} was made with {there}; this run has {now}: pass --overwrite to redo it, or another --out to keep both"
    )
