"""``pathdata pathgen select``: choose representative patches of slides with CLIP."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.pathgen import slide_key

from ...engine.launch import launch
from ...engine.progress import say
from ...pathgen.select.grid import GridSpec
from ...pathgen.select.projects import listed, read_projects, resolve_projects
from ...pathgen.select.prompts import builtin_prompts, read_prompts, read_reports
from ...pathgen.select.ranking import ChoiceSpec
from ...pathgen.select.recipe import MANIFEST, SelectJob, SelectRecipe, write_manifest
from ...slides.find import find_slides
from ..options import read_options
from ..options.engine import EngineOptions, add_engine_options
from ..options.masks import MaskOptions, add_mask_options
from ..options.models import ClipOptions, add_clip_options


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument(
        "slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, folders, or a .txt with a path a line"
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"gets images/, slides/ and {MANIFEST}")
    sub.add_argument(
        "--range", dest="part", metavar="A:B", help="only these of the slides, in order, from 0, B excluded"
    )
    sub.add_argument("--print-prompts", action=_PrintPrompts, help="print the prompts that come with this, as YAML")
    add_clip_options(sub)
    _add_text_options(sub)
    _add_grid_options(sub)
    _add_choice_options(sub)
    add_engine_options(sub)


def _add_text_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--prompts", type=Path, metavar="YAML", help="sentences by project instead of those that come with it"
    )
    sub.add_argument("--reports", type=Path, metavar="JSON", help="sentences of the report by slide")
    project = sub.add_mutually_exclusive_group()
    project.add_argument("--project", metavar="NAME", help="of all slides, e.g. TCGA-BRCA, instead of by barcode")
    project.add_argument("--projects", type=Path, metavar="CSV", help="of each slide: columns slide and project")


def _add_grid_options(sub: argparse.ArgumentParser) -> None:
    grid = GridSpec()
    sub.add_argument("--patch-size", type=int, default=grid.patch_size, help="side in pixels (default %(default)s)")
    sub.add_argument(
        "--mpp",
        type=float,
        help="microns per pixel of the patches (default: level-0 pixels of any slide, as published)",
    )
    sub.add_argument(
        "--overlap", type=int, default=grid.overlap, help="pixels shared by neighbours (default %(default)s)"
    )
    sub.add_argument(
        "--min-tissue",
        type=float,
        default=grid.min_tissue,
        help="a patch needs a larger share of tissue than this (default %(default)s)",
    )
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")
    add_mask_options(sub)


def _add_choice_options(sub: argparse.ArgumentParser) -> None:
    choice = ChoiceSpec()
    sub.add_argument("--target", type=int, default=choice.target, help="patches a slide, at most (default %(default)s)")
    sub.add_argument(
        "--shares",
        type=_parts,
        default=choice.shares,
        metavar="D,R,S",
        help="parts of it by prompts, by the report and spread over clusters (default 1,1,2)",
    )
    sub.add_argument(
        "--clusters",
        type=_cluster_count,
        default=choice.clusters,
        metavar="K|auto|published",
        help="of k-means: auto is the root of 1.6 times the patches, published that of batches of 128 (default auto)",
    )
    sub.add_argument(
        "--max-similarity",
        type=float,
        default=choice.max_similarity,
        help="leave out patches with a higher cosine to a chosen one; 1 leaves out none (default %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=choice.seed, help="of clusters and samples (default %(default)s)")
    sub.add_argument(
        "--quality", type=int, default=SelectRecipe.quality, help="of the JPEG files (default %(default)s)"
    )
    sub.add_argument(
        "--readers", type=int, default=SelectRecipe.readers, help="threads that read patches (default %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    engine = read_options(args, EngineOptions)
    slides = _part(find_slides(_named(args.slides), outside=args.out), args.part)
    table = read_projects(args.projects) if args.projects else {}
    prompts = read_prompts(args.prompts, frozenset([*table.values(), *filter(None, [args.project])]))
    projects = resolve_projects([slide.stem for slide in slides], table, args.project, prompts)
    reports = _reports(args.reports, slides) if args.reports else {}
    masks = read_options(args, MaskOptions).masks(slides)
    recipe = SelectRecipe(
        command="select",
        work=args.out,
        overwrite=engine.overwrite,
        clip=read_options(args, ClipOptions).choice(),
        prompts={project: prompts[project] for project in {*projects.values()}},
        grid=GridSpec(
            patch_size=args.patch_size,
            mpp=args.mpp,
            overlap=args.overlap,
            min_tissue=args.min_tissue,
            slide_mpp=args.slide_mpp,
        ),
        choice=ChoiceSpec(
            target=args.target,
            shares=args.shares,
            clusters=args.clusters,
            max_similarity=args.max_similarity,
            seed=args.seed,
        ),
        readers=args.readers,
        quality=args.quality,
    )
    jobs = [
        SelectJob(
            slide_id=slide.stem,
            slide=slide,
            project=projects[slide.stem],
            report=reports.get(slide_key(slide.stem), ()),
            mask=masks.get(slide),
        )
        for slide in slides
    ]
    code = launch(jobs, recipe, engine, summary_to=engine.summary_to)
    if not engine.dry_run:
        done, rows = write_manifest(args.out)
        say(f"{args.out / MANIFEST}: {rows} patches of {done} slides")
    return code


def _named(given: list[Path]) -> list[Path]:
    """The paths, those that stand in a ``.txt`` instead of it.

    Raises:
        PathPluginsError: all the paths of a list that are not there, together.
    """
    found: list[Path] = []
    for path in given:
        if path.suffix.lower() != ".txt" or not path.is_file():
            found.append(path)
            continue
        named = [Path(line.strip()) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if lost := [str(slide) for slide in named if not slide.exists()]:
            raise PathPluginsError(
                f"{path}: {len(lost)} of its {len(named)} slides are not there (paths are from where you are):\n  "
                + listed(lost)
            )
        if not named:
            raise PathPluginsError(f"{path}: names no slides; write a path a line")
        found += named
    return found


def _part(slides: list[Path], part: str | None) -> list[Path]:
    """The slides from A to before B."""
    if part is None:
        return slides
    start, colon, end = part.partition(":")
    if not colon or not all(not number or number.isdecimal() for number in (start, end)):
        raise PathPluginsError(f"--range {part}: wanted A:B, counted from 0 and B excluded, e.g. 100:150")
    chosen = slides[int(start or 0) : int(end) if end else None]
    if not chosen:
        raise PathPluginsError(f"--range {part}: none of the {len(slides)} slides, which are 0 to {len(slides) - 1}")
    return chosen


def _reports(path: Path, slides: list[Path]) -> dict[str, tuple[str, ...]]:
    """Those of the file; says once which slides have none."""
    reports = read_reports(path)
    without = [slide.stem for slide in slides if slide_key(slide.stem) not in reports]
    if without:
        some = ", ".join(without[:5]) + ", ..." * (len(without) > 5)
        say(f"{path}: no report of {len(without)} of {len(slides)} slides, which go without that ranking: {some}")
    return reports


def _parts(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _cluster_count(text: str) -> int | str:
    return text if text in ("auto", "published") else int(text)


class _PrintPrompts(argparse.Action):
    """Prints and ends, as ``--help`` does."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(builtin_prompts())
        parser.exit()
