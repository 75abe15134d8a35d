"""Entries of ``dataset_info.json`` for formats of ours: every key is obeyed, or refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS

PLACES = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
"""Where LLaMA-Factory finds a data set that is no local file."""
KEYS = ("file_name", "formatting", "split", "subset", "num_samples", "columns", "tags", "ranking", "folder", *PLACES)
COLUMNS = {"messages": "conversations", "images": "image"}
"""Columns that can be renamed -> the key that is read otherwise."""
TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system"}
"""Likewise for the keys and speakers of a turn."""
_NEVER = {"observation_tag": "observation", "function_tag": "function_call"}


def entry_of(known: Mapping[str, Any], name: str, place: Path) -> Mapping[str, Any]:
    """Return one entry, whose values are of the kinds that LLaMA-Factory reads; else raise `PathPluginsError`.

    Args:
        known: what ``dataset_info.json`` holds.
        name: of the data set.
        place: that file, for the message.
    """
    entry = known[name]
    kinds = {"file_name": str, "formatting": str, "columns": dict, "tags": dict}
    if not isinstance(entry, dict):
        raise PathPluginsError(
            f'dataset {name}: {entry!r:.80} in {place}, wanted an object such as {{"file_name": ...}}'
        )
    for key, kind in kinds.items():
        if not isinstance(entry.get(key), kind | None):
            wanted = "text" if kind is str else "an object"
            raise PathPluginsError(f"dataset {name}: {key!r} is {entry[key]!r:.80} in {place}, wanted {wanted}")
    return entry


def check_entry(name: str, entry: Mapping[str, Any], place: Path) -> None:
    """Raise `PathPluginsError` for what the entry of a format of ours says and nobody obeys, all of it at once.

    Args:
        name: of the data set.
        entry: its value in ``dataset_info.json``.
        place: that file, for the message.
    """
    formats = PREFERENCE_FORMATS if entry["formatting"] in PREFERENCE_FORMATS else FORMATS
    takes = inspect.signature(formats.get(entry["formatting"])).parameters
    problems = [unknown("key", key, KEYS) for key in entry if key not in KEYS]
    problems += [f'"{key}": {entry[key]!r}: {said}' for key, said in _unread(entry, takes) if entry.get(key)]
    renames = {"columns": (COLUMNS, {}), "tags": (TAGS, _NEVER)}
    for key, (known, ignored) in renames.items():
        problems += _renamed(key, entry.get(key) or {}, known, ignored, obeyed=key in takes)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise PathPluginsError(f'dataset {name} in {place}, "formatting": "{entry["formatting"]}":{lines}')


def renamed(attr: Any) -> dict[str, dict[str, str]]:
    """Return ``columns`` and ``tags`` of a data set as LLaMA-Factory has read its entry, where they say something."""
    found = {"columns": COLUMNS, "tags": TAGS}
    said = {key: {name: getattr(attr, name, None) for name in names} for key, names in found.items()}
    return {
        key: {name: value for name, value in values.items() if value not in (None, found[key][name])}
        for key, values in said.items()
    }


def _unread(entry: Mapping[str, Any], takes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the keys that no reader of ours obeys, and what to do instead."""
    download = "is read from files alone; download it (`hf download ID --repo-type dataset --local-dir DIR`) and name "
    unread = [(place, f'{download}"file_name"') for place in PLACES]
    unread += [
        ("folder", 'belongs to "hf_hub_url"; name the file or folder in "file_name"'),
    ]
    if "ranking" not in takes:
        unread.append(
            ("ranking", 'this format has no answers to choose between; pairs are "formatting": "preferences"')
        )
    if "split" not in takes and entry.get("split") != "train":
        unread.append(("split", "this format has no parts; remove the key, and name the file of the part"))
    return unread


def _renamed(
    key: str, said: Mapping[str, Any], known: Mapping[str, str], ignored: Mapping[str, str], *, obeyed: bool
) -> list[str]:
    problems = []
    for name, value in said.items():
        if name in known and (obeyed or value == known[name]):
            continue
        if ignored.get(name) == value:
            continue
        use = f"it reads {known[name]!r}" if name in known else f"known are {', '.join(known)}"
        problems.append(f'"{key}": {{"{name}": {value!r}}} is not read by this format; {use}; remove it')
    return problems
