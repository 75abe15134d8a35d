"""Split files: JSON of folds of names, and the published pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path
from pathplugins.data.formats.reading.rows import shown
from pathplugins.data.splits.published import read_published
from pathplugins.data.splits.split import PARTS, By, Fold, Split

FORMAT = "pathplugins split 1"
_PICKLES = (".pickle", ".pkl")


def read_split(path: Path | str) -> Split:
    """Read a split file: our JSON, or ``3fold_dict_idx_filenames.pickle`` as published.

    Raises:
        PathPluginsError: no such file, or neither of the two.
    """
    path = Path(path)
    if path.suffix in _PICKLES:
        return read_published(path)
    if not path.is_file():
        raise PathPluginsError(f"{path}: no such file; expected a split (`pathdata split` writes one){near_path(path)}")
    try:
        held = parse_json(path.read_bytes())
    except ValueError as error:
        raise PathPluginsError(f"{path} is not JSON ({error}); make the split again with `pathdata split`") from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        got = held.get("format") if isinstance(held, dict) else held
        raise PathPluginsError(f"{path} is no split: format is {shown(got)}, expected {FORMAT!r}")
    if held.get("by") not in get_args(By) or not isinstance(held.get("seed"), int | None):
        raise PathPluginsError(
            f"{path}: by is {held.get('by')!r} and seed {held.get('seed')!r}; expected {', '.join(get_args(By))}, and "
            "an integer"
        )
    folds = held.get("folds")
    if not isinstance(folds, list) or not folds:
        raise PathPluginsError(f"{path}: folds is {shown(folds)}; expected a list of {{{', '.join(PARTS)}}}")
    return Split(
        by=held["by"],
        seed=held.get("seed"),
        source=str(path),
        folds=tuple(_fold(number, fold, path) for number, fold in enumerate(folds)),
    )


def write_split(path: Path, split: Split) -> None:
    """Write a split as JSON, whole or not at all."""
    held = {
        "format": FORMAT,
        "by": split.by,
        "seed": split.seed,
        "source": split.source,
        "folds": [{part: list(names) for part, names in fold.parts().items()} for fold in split.folds],
    }
    write_text_whole(path, json.dumps(held, ensure_ascii=False, indent=1) + "\n")


def _fold(number: int, held: Any, path: Path) -> Fold:
    names: dict[str, tuple[str, ...]] = {}
    for part in PARTS:
        inside = held.get(part) if isinstance(held, dict) else None
        if not isinstance(inside, list) or not all(isinstance(name, str) for name in inside):
            raise PathPluginsError(f"{path} fold {number}: {part} is {shown(inside)}, expected a list of names")
        names[part] = tuple(inside)
    return Fold(number=number, source=str(path), **names)
