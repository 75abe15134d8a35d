"""The published folds of PTCGA200: a pickle of places and file names, of which only the names are used.

Places depend on the order of files, so that one file more or less moves pictures of a slide into another part.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.pickles import read_plain_pickle
from pathplugins.data.formats.reading.rows import shown
from pathplugins.data.splits.split import Fold, Split

_EXPECTED = "{'0': {'train': {'idx': [...], 'imgs': [file names]}, 'val': ..., 'test': ...}, '1': ...}"
_PART_NAMES = {"train": ("train",), "valid": ("val", "valid"), "test": ("test",)}


def read_published(path: Path) -> Split:
    """Read ``3fold_dict_idx_filenames.pickle``, all folds.

    Raises:
        PathPluginsError: no such file, a pickle that could run code, or not folds of file names.
    """
    folds = read_plain_pickle(path)
    if not isinstance(folds, dict) or not folds:
        raise PathPluginsError(f"{path} holds {shown(folds)}; expected {_EXPECTED}")
    try:
        ordered = sorted(folds, key=int)
    except (TypeError, ValueError) as error:
        raise PathPluginsError(f"{path} has the keys {shown(list(folds))}; expected {_EXPECTED}") from error
    source = str(path)
    return Split(
        by="slide",
        seed=None,
        source=source,
        folds=tuple(_fold(number, folds[key], path) for number, key in enumerate(ordered)),
    )


def _fold(number: int, parts: Any, path: Path) -> Fold:
    names = {part: _names(f"{path} fold {number}", parts, keys) for part, keys in _PART_NAMES.items()}
    return Fold(number=number, source=str(path), base_names=True, **names)


def _names(where: str, parts: Any, keys: tuple[str, ...]) -> tuple[str, ...]:
    held = next((parts[key] for key in keys if key in parts), None) if isinstance(parts, dict) else None
    names = held.get("imgs") if isinstance(held, dict) else None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise PathPluginsError(
            f"{where} has no list of file names under {keys[0]!r}, 'imgs' ({shown(held)}); places alone are not used, "
            f"because they move with every file; expected {_EXPECTED}"
        )
    return tuple(posixpath.basename(name) for name in names)
