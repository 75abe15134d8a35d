"""Slides to cut: which slides a run takes, each with its own settings from the lists that the user edits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.spreadsheets import SameIds, Spellings, same_ids
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
    specs, names = dict.fromkeys(slides, spec), {slide_name(slide) for slide in slides}
    if mpp_csv is not None:
        table = read_mpp_table(mpp_csv)
        ids = same_ids(table, names, where=str(mpp_csv))
        _say_ids(mpp_csv, ids)
        table = {ids.matched.get(name, name): mpp for name, mpp in table.items()}
        specs = {
            s: replace(spec, override_mpp=table[slide_name(s)]) if slide_name(s) in table else spec for s in slides
        }
    path = process_list or work / NAME
    rows = read_process_list(path, spec) if process_list or path.exists() else {}
    ids = _ids_of(rows, names, path)
    _say_ids(path, ids)
    if process_list is None and not dry_run:
        update_process_list(path, specs, ids.matched.values())
    rows = {ids.matched.get(slide_id, slide_id): row for slide_id, row in rows.items()}
    unlisted = SlideRow(process=process_list is None, changes={})  # a list of the user's own names the slides to do
    told = {slide: rows.get(slide_name(slide), unlisted) for slide in specs}
    chosen = {slide: row.applied(specs[slide]) for slide, row in told.items() if row.process}
    if len(chosen) < len(specs):
        say(f"{path}: {len(specs) - len(chosen)} of {len(specs)} slides are left out")
    if not chosen:
        raise PathPluginsError(f"{path}: leaves out all {len(specs)} slides; set process to 1 for those to be done")
    return chosen


def _ids_of(rows: Mapping[str, SlideRow], names: Collection[str], path: Path) -> SameIds:
    """Match the ids of a process list with the slides: exactly, by the path in their row, or as a spreadsheet would.

    Raises:
        PathPluginsError: a spreadsheet changed ids so that they are no longer clear.
    """
    by_path: dict[str, str] = {}
    for slide_id, row in rows.items():
        name = slide_name(Path(row.slide)) if row.slide else ""
        if slide_id not in names and name in names and name not in rows and Spellings([name]).of(slide_id):
            by_path[slide_id] = name
    others = {slide_id: row for slide_id, row in rows.items() if slide_id not in by_path}
    told = [slide_id for slide_id, row in others.items() if row.slide and slide_name(Path(row.slide)) == slide_id]
    lost = [slide_id for slide_id in told if slide_id not in names]  # written as they are: slides of other runs
    taken = {*told, *by_path.values()}
    unsure = [slide_id for slide_id in others if slide_id not in told]
    found = same_ids(unsure, [name for name in names if name not in taken], where=str(path))
    return SameIds(matched={**by_path, **found.matched}, lost=[*lost, *found.lost])


def _say_ids(path: Path, ids: SameIds) -> None:
    """Say which ids of a list were read as others, and which are of no slide among those given."""
    if note := ids.note():
        say(f"{path}: {note}")
    if ids.lost:
        some = ", ".join(ids.lost[:10]) + ", ..." * (len(ids.lost) > 10)
        say(f"{path}: {len(ids.lost)} of its slides are not among those given: {some}")
