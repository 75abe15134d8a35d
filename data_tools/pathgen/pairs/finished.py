"""Parts: what was made of one slide, written last, so that its presence says that the slide is done.

``parts/<wsi_id>.jsonl``: a first line about the slide, then a line for each pair as it stands in the manifest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing

from ...engine.outcome import check_same_settings
from .options import PairOptions

FOLDER = "parts"


@dataclass(frozen=True, kw_only=True)
class PartHead:
    """The first line of a part."""

    wsi_id: str
    digest: str
    """Of the texts, see ``PlannedSlide``."""
    settings: dict[str, Any]
    mpp_source: str | None
    has_outside: bool
    pairs: int
    pictures: int
    left_out: list[dict[str, Any]]
    """Places without a picture: ``x``, ``y``, ``pairs``, ``outside`` (the fraction)."""


def part_path(work: Path, wsi_id: str) -> Path:
    """The part of a slide."""
    return work / FOLDER / f"{wsi_id}.jsonl"


def read_head(path: Path) -> PartHead | None:
    """The first line of a part; None if there is no part.

    Raises:
        PathPluginsError: it is something else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return PartHead(**json.loads(file.readline()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise PathPluginsError(f"{path} is not what pathdata writes there ({error}); delete it") from error


def write_part(path: Path, head: PartHead, lines: Sequence[dict[str, Any]]) -> None:
    """Write it, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for value in (asdict(head), *lines):
            file.write(f"{json.dumps(value, ensure_ascii=False)}\n")


def check_settings(path: Path, head: PartHead, options: PairOptions, override_mpp: float | None) -> None:
    """Refuse a part made with other settings, naming both.

    Raises:
        PathPluginsError: it is of other settings.
    """
    wanted = options.settings(mpp_source=head.mpp_source, has_outside=head.has_outside, override_mpp=override_mpp)
    check_same_settings(path, found=json.dumps(head.settings, sort_keys=True), wanted=wanted)


def outputs_of(path: Path) -> set[str]:
    """The files of a part, relative to the work folder; a folder that is one slide's stands for those in it."""
    found: set[str] = set()
    if (head := read_head(path)) is None:
        return found
    for line in _lines(path):
        if "shard" in line:
            found.add(line["shard"])
        elif head.settings["naming"] == "slide":
            found.add(line["image"].partition("/")[0])
        else:
            found.add(line["image"])
            if head.settings["captions"] and "caption" in line:
                found.add(beside(line["image"]))
    return found


def are_there(work: Path, path: Path) -> bool:
    """Whether all files of a part are."""
    head, names = read_head(path), set()
    for line in _lines(path):
        names.add(line.get("shard") or line["image"])
        if head is not None and head.settings.get("captions") and "caption" in line:
            names.add(beside(line["image"]))
    folders = {name.partition("/")[0] for name in names if "/" in name}
    listed = (found for folder in folders if (work / folder).is_dir() for found in (work / folder).iterdir())
    within = {f"{found.parent.name}/{found.name}" for found in listed}  # one look at a folder, not one a picture
    return all(name in within if "/" in name else (work / name).exists() for name in names)


def remove(work: Path, outputs: set[str]) -> None:
    """Remove outputs that no part has any more."""
    for name in outputs:
        path = work / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def beside(image: str) -> str:
    """The name of the caption beside a picture."""
    return f"{image.rpartition('.')[0]}.txt"


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        file.readline()
        return [json.loads(line) for line in file]
