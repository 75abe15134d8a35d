"""``pathdata patch``: find tissue on slides and cut it into patches."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pathplugins.core.errors import PathPluginsError

from ..encoders.bag_recipe import BagJob, BagRecipe
from ..engine.launch import add_engine_options, launch
from ..engine.progress import say
from ..slides.resolution import MICRONS_PER_PIXEL_AT_1X, read_mpp_table
from ..slides.slide import find_slides
from ..tiling.grid import PatchFormat, TilingSpec
from ..tiling.presets import PRESETS, described
from ..tiling.process_list import NAME, SlideRow, read_process_list, update_process_list
from ..tissue.own_mask import find_masks


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_tiling_options(sub)
    add_engine_options(sub)


def add_tiling_options(sub: argparse.ArgumentParser) -> None:
    """Which slides, and how they are cut; defaults that a preset may change are None."""
    spec = TilingSpec()
    sub.formatter_class = argparse.RawDescriptionHelpFormatter  # the presets are a table
    sub.epilog = described()
    sub.add_argument("slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, or folders to search")
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"the work folder: gets coords/, overlays/, geojson/ and {NAME}, which may be edited and is kept",
    )
    sub.add_argument("--preset", choices=PRESETS, metavar="NAME", help="sizes of a published system, see below")
    sub.add_argument("--patch-size", type=int, help=f"side in pixels at --mpp (default {spec.patch_size})")
    resolution = sub.add_mutually_exclusive_group()
    resolution.add_argument("--mpp", type=float, help=f"microns per pixel of the patches (default {spec.mpp})")
    resolution.add_argument("--magnification", type=float, help="the same as --mpp 10/MAGNIFICATION")
    sub.add_argument("--overlap", type=int, help=f"pixels at --mpp shared by neighbours (default {spec.overlap})")
    sub.add_argument(
        "--min-tissue", type=float, default=spec.min_tissue, help="smallest fraction of tissue (default %(default)s)"
    )
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")
    sub.add_argument(
        "--mpp-csv", type=Path, metavar="CSV", help="level-0 microns per pixel of single slides, whatever they record"
    )
    sub.add_argument("--keep-pen", action="store_true", help="take what has the colour of pen marks for tissue too")
    sub.add_argument(
        "--mask",
        type=Path,
        metavar="DIR|FILE",
        help="masks of your own instead of detection: images (not 0 is tissue) or GeoJSON, named as the slides",
    )
    sub.add_argument("--mask-class", metavar="NAME", help="take only this class of a GeoJSON --mask")
    sub.add_argument(
        "--process-list", type=Path, metavar="CSV", help=f"do the slides of this list, not of {NAME} in --out"
    )
    sub.add_argument(
        "--save-patches", choices=get_args(PatchFormat), help="write the patches as pictures too, to patches/"
    )


def tiling_spec(args: argparse.Namespace) -> TilingSpec:
    """The settings of the run, before anything is said of single slides."""
    if args.magnification is not None and args.magnification <= 0:
        raise PathPluginsError(f"--magnification must be above 0 (e.g. 20), got {args.magnification:g}")
    if args.mask_class is not None and args.mask is None:
        raise PathPluginsError(f"--mask-class {args.mask_class} is a class of a GeoJSON; say which with --mask")
    spec = TilingSpec(min_tissue=args.min_tissue, slide_mpp=args.slide_mpp, save_patches=args.save_patches)
    if args.keep_pen:
        spec = replace(spec, tissue=replace(spec.tissue, remove_pen=False))
    sizes = {key: getattr(PRESETS[args.preset], key) for key in ("patch_size", "mpp", "overlap")} if args.preset else {}
    mpp = MICRONS_PER_PIXEL_AT_1X / args.magnification if args.magnification is not None else args.mpp
    given = {"patch_size": args.patch_size, "mpp": mpp, "overlap": args.overlap}
    return replace(spec, **sizes | {key: value for key, value in given.items() if value is not None})


def planned(args: argparse.Namespace) -> list[tuple[Path, TilingSpec]]:
    """The slides to do, each with its own settings; writes the process list unless it is a dry run.

    Raises:
        PathPluginsError: options, lists or masks that cannot be used.
    """
    spec = tiling_spec(args)
    slides = find_slides(args.slides, outside=args.out)
    specs = dict.fromkeys(slides, spec)
    if args.mpp_csv is not None:
        table = read_mpp_table(args.mpp_csv)
        if lost := sorted({*table} - {slide.stem for slide in slides}):
            say(f"{args.mpp_csv}: {len(lost)} of its slides are not among those given: {_some(lost)}")
        specs = {s: replace(spec, override_mpp=table[s.stem]) if s.stem in table else spec for s in slides}
    chosen = _listed(args, specs, spec)
    if args.mask is not None and chosen:
        masks = find_masks(args.mask, list(chosen), args.mask_class)
        chosen = {slide: replace(own, mask=masks[slide]) for slide, own in chosen.items()}
    return list(chosen.items())


def slide_jobs(args: argparse.Namespace) -> list[BagJob]:
    """The slides to do, as the engine takes them."""
    return [BagJob(slide_id=slide.stem, slide=slide, tiling=tiling) for slide, tiling in planned(args)]


def _listed(args: argparse.Namespace, specs: dict[Path, TilingSpec], spec: TilingSpec) -> dict[Path, TilingSpec]:
    """The slides that the process list wants, with its settings."""
    path = args.process_list or args.out / NAME
    rows = read_process_list(path, spec) if args.process_list or path.exists() else {}
    if args.process_list is None and not args.dry_run:
        update_process_list(path, specs)
    found = {slide.stem for slide in specs}
    lost = [slide_id for slide_id, row in rows.items() if row.process and slide_id not in found]
    if lost:
        say(f"{path}: {len(lost)} of its slides are not among those given: {_some(lost)}")
    unlisted = SlideRow(process=args.process_list is None, changes={})  # a list of one's own is the choice
    told = {slide: rows.get(slide.stem, unlisted) for slide in specs}
    chosen = {slide: row.applied(specs[slide]) for slide, row in told.items() if row.process}
    if len(chosen) < len(specs):
        say(f"{path}: {len(specs) - len(chosen)} of {len(specs)} slides are left out")
    if not chosen:
        raise PathPluginsError(f"{path}: leaves out all {len(specs)} slides; set process to 1 for those to be done")
    return chosen


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + ", ..." * (len(names) > 10)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    recipe = BagRecipe(command="patch", work=args.out, bags=args.out / "bags", overwrite=args.overwrite)
    return launch(args, slide_jobs(args), recipe)
