"""Slides to cut: which slides a run takes, each with its own settings from the lists that the user edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import slide_name

from ..engine.progress import say
from ..slides.mpp_table import read_mpp_table
from .process_list import NAME, SlideRow, read_process_list, update_process_list
from .spec import TilingSpec


def slides_to_cut(
    slides: Sequence[Path],
    spec: TilingSpec,
    work: Path,
    *,
    mpp_csv: Path | None = None,
    process_list: Path | None = None,
    dry_run: bool = False,
) -> dict[Path, TilingSpec]:
    """Return the slides to do, each with its own settings; says which rows of the lists name no slide.

    Args:
        slides: All slides that were found.
        spec: The settings of the run.
        work: The work folder; its process list is written, or completed.
        mpp_csv: A table of the level-0 resolutions of single slides.
        process_list: A list of the user's own, whose slides alone are done; None takes the one in ``work``.
        dry_run: Write no process list.

    Raises:
        PathPluginsError: a list or table that cannot be used, or that leaves out every slide.
    """
    specs = dict.fromkeys(slides, spec)
    if mpp_csv is not None:
        table = read_mpp_table(mpp_csv)
        _say_lost(mpp_csv, sorted({*table} - {slide_name(slide) for slide in slides}))
        specs = {
            s: replace(spec, override_mpp=table[slide_name(s)]) if slide_name(s) in table else spec for s in slides
        }
    path = process_list or work / NAME
    rows = read_process_list(path, spec) if process_list or path.exists() else {}
    if process_list is None and not dry_run:
        update_process_list(path, specs)
    found = {slide_name(slide) for slide in specs}
    _say_lost(path, [slide_id for slide_id, row in rows.items() if row.process and slide_id not in found])
    unlisted = SlideRow(process=process_list is None, changes={})  # a list of the user's own names the slides to do
    told = {slide: rows.get(slide_name(slide), unlisted) for slide in specs}
    chosen = {slide: row.applied(specs[slide]) for slide, row in told.items() if row.process}
    if len(chosen) < len(specs):
        say(f"{path}: {len(specs) - len(chosen)} of {len(specs)} slides are left out")
    if not chosen:
        raise PathPluginsError(f"{path}: leaves out all {len(specs)} slides; set process to 1 for those to be done")
    return chosen


def _say_lost(path: Path, names: list[str]) -> None:
    """Say which slides of a list are not among those given."""
    if names:
        some = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
        say(f"{path}: {len(names)} of its slides are not among those given: {some}")
