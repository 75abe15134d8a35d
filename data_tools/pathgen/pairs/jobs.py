"""Jobs of an extraction: the slides with a file or finished earlier, and those that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pathplugins.core.spreadsheets import same_ids
from pathplugins.core.suffixes import slide_key

from ...engine.progress import say
from ...slides.find import index_slides
from ...slides.missing import MissingSlides, missing_slides
from ...slides.mpp_table import read_mpp_table
from .extract import PairJob
from .finished import check_settings, finished_path, read_finished
from .manifest import is_current
from .options import PairOptions
from .plan import PlannedSlide


def pair_jobs(
    slides: Sequence[PlannedSlide],
    folders: Sequence[Path],
    work: Path,
    options: PairOptions,
    overrides: Mapping[str, float],
    *,
    overwrite: bool,
) -> tuple[list[PairJob], MissingSlides]:
    """Find the files of the slides; return the slides to do, and those with neither a file nor finished pairs.

    Args:
        slides: All slides of the plan.
        folders: Searched for the files, to any depth.
        work: The output folder.
        options: How pairs are made.
        overrides: ``wsi_id`` -> level-0 microns per pixel given for it.
        overwrite: Do finished slides again.

    Raises:
        PathPluginsError: a slide was finished with other settings; or the folders cannot be searched.
    """
    index = index_slides(folders, {slide.key for slide in slides}, tell=say)
    jobs, found = [], set()
    for slide in slides:
        path, record = index.get(slide.key), finished_path(work, slide.wsi_id)
        override = overrides.get(slide.wsi_id)
        head = None if overwrite else read_finished(record)
        if head is not None:
            check_settings(record, head, options, override)
        gone = path is None and head is not None and is_current(head, slide, options, override)
        if path is None and not gone:
            continue
        found.add(slide.key)
        job = PairJob(slide_id=slide.wsi_id, slide=path or record, planned=slide, override_mpp=override, gone=gone)
        jobs.append(job)
    return jobs, missing_slides({slide.wsi_id: slide.pairs for slide in slides}, found)


def read_overrides(table: Path | None, slides: Sequence[PlannedSlide]) -> dict[str, float]:
    """Return ``wsi_id`` -> level-0 microns per pixel from a table; say how many of its slides the source lacks."""
    if table is None:
        return {}
    given = {slide_key(name): mpp for name, mpp in read_mpp_table(table).items()}
    ids = same_ids(given, {slide.key for slide in slides}, where=str(table))
    if note := ids.note():
        say(f"{table}: {note}")
    if ids.lost:
        say(f"{table}: {len(ids.lost)} of its slides are not in the source: {', '.join(ids.lost[:10])}")
    given = {ids.matched.get(name, name): mpp for name, mpp in given.items()}
    return {slide.wsi_id: given[slide.key] for slide in slides if slide.key in given}
