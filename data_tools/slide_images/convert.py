"""Convert samples about slides: match slides with their patches, make the pictures, write the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pathplugins.core.suffixes import slide_key
from pathplugins.data.records import BadSampleReport

from ..engine.launch import LaunchOptions, launch
from ..engine.progress import say
from ..engine.run import Summary
from ..slides.find import index_slides
from .match import match_slides
from .pictures import PicturesJob, PicturesRecipe
from .samples import Samples
from .sources import Source, find_sources
from .wording import Pictures, Positions, read_pictures
from .write import write_samples


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The outcome of `convert_slides`."""

    written: int
    """Samples; 0 if bad rows stopped it."""
    bad: int
    slides: int
    most: int
    """Pictures of the sample with most of them."""


def convert_slides(
    samples: Samples,
    recipe: PicturesRecipe,
    options: LaunchOptions,
    out: Path,
    *,
    bags: Path | None = None,
    slides_folder: Path | None = None,
    positions: Positions = "none",
    on_bad: Literal["error", "skip"] = "error",
) -> Converted:
    """Write ``out``, and the pictures that it names into ``recipe.work``; bad rows are one report.

    Slides done before are not done again. With ``on_bad`` error nothing is started if a row is bad already, and no
    samples are written if a slide fails.

    Args:
        samples: What is asked.
        recipe: How a slide becomes pictures; ``recipe.work`` lies in the folder of ``out``.
        options: How many slides at a time; a dry run writes nothing.
        out: ``.json`` or ``.jsonl``.
        bags: Folder of the bags, if not in ``recipe.patches``.
        slides_folder: Where the slides are, if not where they were.
        positions: What the text says of places.
        on_bad: ``skip`` leaves bad rows out.

    Raises:
        PathPluginsError: no patches, or options that cannot be used.
    """
    sources = find_sources(recipe.patches, bags, features=recipe.select == "kmeans")
    matched = match_slides(samples.records, set(sources), where=str(samples.path))
    bad = [*samples.bad, *matched.bad]
    if matched.note:
        say(f"{samples.path}: {matched.note}")
    if bad and on_bad == "error":
        report = BadSampleReport(total=len(samples.records) + len(samples.bad), bad=bad)
        say(report.text())
        return Converted(written=0, bad=len(bad), slides=0, most=0)
    wanted = dict.fromkeys(slide for _, slides in matched.records for slide in slides)
    jobs = _jobs({name: sources[name] for name in wanted}, slides_folder)
    summaries: list[Summary] = []
    if jobs:
        launch(jobs, recipe, options, on_summary=summaries.append)
    if options.dry_run:
        return Converted(written=len(matched.records), bad=len(bad), slides=len(jobs), most=0)
    pictures = _pictures_of(recipe, sources, out, summaries)
    done = write_samples(
        matched.records, bad, pictures, out, positions=positions, on_bad=on_bad, overwrite=recipe.overwrite
    )
    if done.report:
        say(done.report)
    return Converted(written=done.written, bad=done.bad, slides=len(jobs), most=done.most)


def _jobs(sources: Mapping[str, Source], folder: Path | None) -> list[PicturesJob]:
    """Return the slides to do, each where it was found below a folder."""
    keys = {name: slide_key(name) for name in sources}
    found = index_slides([folder], {*keys.values()}, tell=say) if folder else {}
    return [
        PicturesJob(slide_id=source.slide_id, slide=source.main, source=source, found=found.get(keys[name]))
        for name, source in sources.items()
    ]


def _pictures_of(
    recipe: PicturesRecipe, sources: Mapping[str, Source], out: Path, summaries: Iterable[Summary]
) -> Callable[[str], Pictures | str]:
    """Return the function that gives the pictures of a slide, or why it has none."""
    failed = {slide_id: why for summary in summaries for slide_id, why in summary.failed.items()}
    known: dict[str, Pictures | str] = {}

    def pictures(name: str) -> Pictures | str:
        slide_id = sources[name].slide_id
        if slide_id not in known:
            folder = recipe.result_path(slide_id)
            there = slide_id not in failed and folder.exists()
            known[slide_id] = read_pictures(folder, out.parent) if there else failed.get(slide_id, "it was not started")
        return known[slide_id]

    return pictures
