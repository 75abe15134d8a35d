"""Tiling options: which slides are cut into patches, and how."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

from pathplugins.core.errors import PathPluginsError

from ...slides.resolution import MICRONS_PER_PIXEL_AT_1X
from ...tiling.own_coords import OwnCoords, find_own_coords
from ...tiling.presets import PRESETS, described
from ...tiling.process_list import NAME
from ...tiling.spec import PatchFormat, TilingSpec
from ...tissue.stains import described as stains_described
from .masks import MaskOptions, add_mask_options
from .resolution import add_mpp_csv_option, add_slide_mpp_option
from .tissue import TissueOptions, add_tissue_options

DECIDED_BY_COORDS = (
    *("preset", "patch_size", "mpp", "magnification", "overlap", "min_tissue"),
    *("mask", "stain", "keep_pen", "tissue_model"),
)
"""Options that mean nothing with ``--coords``."""


@dataclass(frozen=True, kw_only=True)
class TilingOptions(MaskOptions, TissueOptions):
    """Which slides are cut into patches, and how; what a preset may change is None where it was not given."""

    slides: list[Path]
    """Slide files, or folders to search."""
    out: Path
    """The work folder."""
    preset: str | None = None
    """A name in ``PRESETS``."""
    patch_size: int | None = None
    """Side in pixels at ``mpp``."""
    mpp: float | None = None
    """Microns per pixel of the patches."""
    magnification: float | None = None
    """Instead of ``mpp``."""
    overlap: int | None = None
    """Pixels at ``mpp`` shared by neighbours."""
    min_tissue: float = TilingSpec.min_tissue
    """Smallest fraction of tissue in a patch."""
    slide_mpp: float | None = None
    """Level-0 microns per pixel of slides that record none."""
    mpp_csv: Path | None = None
    """Table of level-0 microns per pixel of single slides."""
    process_list: Path | None = None
    """Take the slides of this list; None is the list in ``out``."""
    coords: Path | None = None
    """Folder of the patch files of another tool, instead of a grid over tissue."""
    save_patches: PatchFormat | None = None
    """Write the patches as pictures too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coords is None:
            return
        usual = {field.name: field.default for field in fields(self)}
        idle = [f"--{name.replace('_', '-')}" for name in DECIDED_BY_COORDS if getattr(self, name) != usual[name]]
        if idle:
            raise PathPluginsError(
                f"--coords {self.coords} says which patches are taken and how large they are; leave out "
                f"{', '.join(idle)}, or --coords"
            )

    def own_coords(self, slides: list[Path]) -> dict[Path, OwnCoords]:
        """Return the patch file of every slide; empty without ``--coords``.

        Raises:
            PathPluginsError: slides without a patch file, all of them named.
        """
        return {} if self.coords is None or not slides else find_own_coords(self.coords, slides)

    def spec(self) -> TilingSpec:
        """Return the settings of the run, before those of single slides.

        Raises:
            PathPluginsError: values that cannot be used.
        """
        if self.magnification is not None and self.magnification <= 0:
            raise PathPluginsError(f"--magnification must be above 0 (e.g. 20), got {self.magnification:g}")
        given = {"min_tissue": self.min_tissue, "slide_mpp": self.slide_mpp, "save_patches": self.save_patches}
        spec = TilingSpec(tissue=self.tissue(), **given)
        preset = PRESETS[self.preset] if self.preset else None
        usual = {key: getattr(preset, key) for key in ("patch_size", "mpp", "overlap")} if preset else {}
        mpp = self.mpp if self.magnification is None else MICRONS_PER_PIXEL_AT_1X / self.magnification
        given = {"patch_size": self.patch_size, "mpp": mpp, "overlap": self.overlap}
        return replace(spec, **usual | {key: value for key, value in given.items() if value is not None})


def add_tiling_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `TilingOptions`."""
    spec = TilingSpec()
    sub.formatter_class = argparse.RawDescriptionHelpFormatter  # the presets are a table
    sub.epilog = f"{described()}\n\n{stains_described()}"
    sub.add_argument("slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, or folders to search")
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"the work folder: gets coords/, overlays/, geojson/ and {NAME}, which may be edited and is kept",
    )
    sub.add_argument(
        "--preset", choices=PRESETS, metavar="NAME", help="patch size and resolution of a published system, see below"
    )
    sub.add_argument("--patch-size", type=int, help=f"side in pixels at --mpp (default {spec.patch_size})")
    resolution = sub.add_mutually_exclusive_group()
    resolution.add_argument("--mpp", type=float, help=f"microns per pixel of the patches (default {spec.mpp})")
    resolution.add_argument(
        "--magnification", type=float, help="objective power instead of --mpp: the same as --mpp 10/MAGNIFICATION"
    )
    sub.add_argument("--overlap", type=int, help=f"pixels at --mpp shared by neighbours (default {spec.overlap})")
    sub.add_argument(
        "--min-tissue", type=float, default=spec.min_tissue, help="smallest fraction of tissue (default %(default)s)"
    )
    add_slide_mpp_option(sub)
    add_mpp_csv_option(sub)
    add_tissue_options(sub)
    add_mask_options(sub)
    sub.add_argument(
        "--coords",
        type=Path,
        metavar="DIR",
        help="take the patches of these files, of CLAM, TRIDENT or pathdata patch, instead of detecting tissue; their "
        "size is that of the files",
    )
    sub.add_argument(
        "--process-list", type=Path, metavar="CSV", help=f"do the slides of this list, not of {NAME} in --out"
    )
    sub.add_argument(
        "--save-patches", choices=get_args(PatchFormat), help="write the patches as pictures too, to patches/"
    )
