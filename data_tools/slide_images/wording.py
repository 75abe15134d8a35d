"""Wording: what stands in a text in the place of a slide, one ``<image>`` for each of its pictures.

Positions are those of a patch's centre in the part of the slide that was scanned, from its top-left corner: in
millimetres, or as shares of its width and height from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.files import read_json
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record

from .pictures import CHOSEN

Positions = Literal["none", "mm", "normalised"]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The pictures of one slide."""

    files: tuple[str, ...]
    """Paths as records name them."""
    positions: dict[str, list[list[float]]]
    """``mm`` and ``normalised``: (x, y) of each."""


def read_pictures(folder: Path, relative_to: Path) -> Pictures:
    """Read what was chosen of a slide."""
    chosen: dict[str, Any] = read_json(folder / CHOSEN)
    home = folder.relative_to(relative_to).as_posix()
    return Pictures(files=tuple(f"{home}/{name}" for name in chosen["patches"]), positions=chosen["positions"])


def with_pictures(record: Record, slides: Sequence[Pictures], positions: Positions) -> Record:
    """Return a record whose slides, one per ``<image>``, are pictures; several slides are numbered in the text."""
    turns, at = [], 0
    for role, text in record.conversations:
        first, *others = text.split(IMAGE_PLACEHOLDER)
        parts = [first]
        for after in others:
            name = f"Slide {at + 1}" if len(slides) > 1 else ""
            parts += [_block(slides[at], positions, name), after]
            at += 1
        turns.append((role, "".join(parts)))
    conversations = tuple(turn._replace(text=text) for turn, (_, text) in zip(record.conversations, turns, strict=True))
    return replace(record, conversations=conversations, images=tuple(file for one in slides for file in one.files))


def _block(pictures: Pictures, positions: Positions, name: str) -> str:
    """Return the text of one slide: pictures in a row, or a line each with its number and position."""
    if positions == "none":
        return (f"{name}: " if name else "") + IMAGE_PLACEHOLDER * len(pictures.files)
    unit, digits = (" mm", 2) if positions == "mm" else ("", 3)
    before = f"{name}, patch" if name else "Patch"
    return "\n".join(
        f"{before} {number} at x {x:.{digits}f}{unit}, y {y:.{digits}f}{unit}: {IMAGE_PLACEHOLDER}"
        for number, (x, y) in enumerate(pictures.positions[positions], 1)
    )
