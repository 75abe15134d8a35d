"""Records of finished slides: ``parts/<wsi_id>.jsonl``, written last, so that its presence marks the slide as done.

The first line describes the slide; then follows one line per pair, as in the manifest.
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
from pathplugins.core.json_values import parse_json

from ...engine.outcome import check_same_settings
from .options import PairOptions

FOLDER = "parts"


@dataclass(frozen=True, kw_only=True)
class FinishedSlide:
    """The first line of a record: the slide, its settings and its counts."""

    wsi_id: str
    digest: str
    """Digest of the texts, see ``PlannedSlide``."""
    settings: dict[str, Any]
    mpp_source: str | None
    has_outside: bool
    pairs: int
    pictures: int
    left_out: list[dict[str, Any]]
    """Places without a picture: ``x``, ``y``, ``pairs``, ``outside`` (fraction of the box beyond the slide)."""
    slide: str = ""
    """Path of the slide's file."""
    slide_content: str | None = None
    """``content_print`` of that file; None in records of earlier versions."""


def finished_path(work: Path, wsi_id: str) -> Path:
    """Return the path of a slide's record."""
    return work / FOLDER / f"{wsi_id}.jsonl"


def read_finished(path: Path) -> FinishedSlide | None:
    """Read the first line of a record; return None if the slide has no record.

    Raises:
        PathPluginsError: the file is no record.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return FinishedSlide(**parse_json(file.readline()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise PathPluginsError(f"{path} is damaged, or no file of pathdata ({error}); delete it") from error


def write_finished(path: Path, head: FinishedSlide, lines: Sequence[dict[str, Any]]) -> None:
    """Write a record, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for value in (asdict(head), *lines):
            file.write(f"{json.dumps(value, ensure_ascii=False)}\n")


def check_settings(path: Path, head: FinishedSlide, options: PairOptions, override_mpp: float | None) -> None:
    """Refuse a slide that was finished with other settings, naming both.

    Raises:
        PathPluginsError: the settings differ.
    """
    wanted = options.settings(mpp_source=head.mpp_source, has_outside=head.has_outside, override_mpp=override_mpp)
    check_same_settings(path, found=json.dumps(head.settings, sort_keys=True), wanted=wanted)


def files_of(path: Path) -> set[str]:
    """Return the files a record lists, relative to the work folder; a slide's own folder stands for its files."""
    found: set[str] = set()
    if (head := read_finished(path)) is None:
        return found
    for line in _lines(path):
        if "shard" in line:
            found.add(line["shard"])
        elif head.settings["naming"] == "slide":
            found.add(line["image"].partition("/")[0])
        else:
            found.add(line["image"])
            if head.settings["captions"] and "caption" in line:
                found.add(caption_name(line["image"]))
    return found


def files_exist(work: Path, path: Path) -> bool:
    """Return whether all files that a record lists exist."""
    head, names = read_finished(path), set()
    for line in _lines(path):
        names.add(line.get("shard") or line["image"])
        if head is not None and head.settings.get("captions") and "caption" in line:
            names.add(caption_name(line["image"]))
    folders = {name.partition("/")[0] for name in names if "/" in name}
    listed = (found for folder in folders if (work / folder).is_dir() for found in (work / folder).iterdir())
    # one listing per folder, not one look per picture
    within = {f"{found.parent.name}/{found.name}" for found in listed}
    return all(name in within if "/" in name else (work / name).exists() for name in names)


def remove_files(work: Path, names: set[str]) -> None:
    """Remove files or folders that no record lists any more."""
    for name in names:
        path = work / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def caption_name(image: str) -> str:
    """Return the name of the caption file beside a picture."""
    return f"{image.rpartition('.')[0]}.txt"


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        file.readline()
        return [parse_json(line) for line in file]
