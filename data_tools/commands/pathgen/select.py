"""``pathdata pathgen select``: choose representative patches of slides with CLIP."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pathplugins.core.counted import counted
from pathplugins.core.spreadsheets import same_ids
from pathplugins.core.suffixes import slide_key, slide_name

from ...engine.launch import launch
from ...engine.progress import say
from ...pathgen.select.projects import read_projects, resolve_projects
from ...pathgen.select.prompts import builtin_prompts, read_prompts, read_reports
from ...pathgen.select.recipe import MANIFEST, SelectJob, SelectRecipe, write_manifest
from ...pathgen.select.slide_list import named_slides
from ..options import read_options
from ..options.engine import EngineOptions, add_engine_options
from ..options.masks import MaskOptions
from ..options.models import ClipOptions, add_clip_options
from ..options.patch_choice import (
    CandidateOptions,
    ChoiceOptions,
    SentenceOptions,
    add_candidate_options,
    add_choice_options,
    add_sentence_options,
)
from ..options.tissue import TissueOptions

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SelectOptions:
    """The slides, the work folder, and how pictures are read and written."""

    slides: list[Path]
    out: Path
    slide_range: str | None = None
    readers: int = SelectRecipe.readers
    quality: int = SelectRecipe.quality


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument(
        "slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, folders, or a .txt with a path a line"
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"gets images/, slides/ and {MANIFEST}")
    sub.add_argument(
        "--range", dest="slide_range", metavar="A:B", help="only these of the slides, counted from 0, B excluded"
    )
    sub.add_argument("--print-prompts", action=_PrintPrompts, help="print the built-in prompts as YAML, and end")
    add_clip_options(sub)
    add_sentence_options(sub)
    add_candidate_options(sub)
    add_choice_options(sub)
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Choose patches of every slide; returns the exit code."""
    options, engine = read_options(args, SelectOptions), read_options(args, EngineOptions)
    sentences, grid = read_options(args, SentenceOptions), read_options(args, CandidateOptions).spec()
    grid = replace(grid, tissue=read_options(args, TissueOptions).tissue())
    choice, masks = read_options(args, ChoiceOptions).spec(), read_options(args, MaskOptions)
    slides = named_slides(options.slides, options.slide_range, outside=options.out)
    projects, prompts = _projects(sentences, slides)
    jobs = _jobs(slides, projects, sentences, masks)
    recipe = SelectRecipe(
        command="select",
        work=options.out,
        overwrite=engine.overwrite,
        clip=read_options(args, ClipOptions).choice(),
        prompts={project: prompts[project] for project in {*projects.values()}},
        grid=grid,
        choice=choice,
        readers=options.readers,
        quality=options.quality,
    )
    code = launch(jobs, recipe, engine, summary_to=engine.summary_to)
    if not engine.dry_run:
        done, rows = write_manifest(options.out)
        say(f"{options.out / MANIFEST}: {counted(rows, 'patch')} of {counted(done, 'slide')}")
    return code


def _projects(options: SentenceOptions, slides: list[Path]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the project of each slide, and the prompts of each project."""
    table = _of_slides(read_projects(options.projects), options.projects, slides) if options.projects else {}
    prompts = read_prompts(options.prompts, frozenset([*table.values(), *filter(None, [options.project])]))
    return resolve_projects([slide_name(slide) for slide in slides], table, options.project, prompts), prompts


def _jobs(
    slides: list[Path], projects: dict[str, str], options: SentenceOptions, mask_options: MaskOptions
) -> list[SelectJob]:
    """Return the slides to do, each with its project, report and mask."""
    reports, masks = _reports(options.reports, slides) if options.reports else {}, mask_options.masks(slides)
    return [
        SelectJob(
            slide_id=slide_name(slide),
            slide=slide,
            project=projects[slide_name(slide)],
            report=reports.get(slide_key(slide_name(slide)), ()),
            mask=masks.get(slide),
        )
        for slide in slides
    ]


def _of_slides(table: dict[str, T], path: Path, slides: list[Path]) -> dict[str, T]:
    """Return a table by `slide_key`, with ids that a spreadsheet changed as those of the slides; says which."""
    ids = same_ids(table, {slide_key(slide_name(slide)) for slide in slides}, where=str(path))
    if note := ids.note():
        say(f"{path}: {note}")
    if ids.lost:
        say(f"{path}: {len(ids.lost)} of its slides are not among those given: {', '.join(ids.lost[:5])}")
    return {ids.matched.get(key, key): value for key, value in table.items()}


def _reports(path: Path, slides: list[Path]) -> dict[str, tuple[str, ...]]:
    """Read the reports, and say once which slides have none."""
    reports = _of_slides(read_reports(path), path, slides)
    without = [slide_name(slide) for slide in slides if slide_key(slide_name(slide)) not in reports]
    if without:
        some = ", ".join(without[:5]) + ", ..." * (len(without) > 5)
        say(f"{path}: {len(without)} of {len(slides)} slides have no report and no ranking by one: {some}")
    return reports


class _PrintPrompts(argparse.Action):
    """Prints the prompts and ends the program, as ``--help`` does."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(builtin_prompts())
        parser.exit()
