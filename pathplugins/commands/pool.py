"""``pathdata pool``: bags -> a fixed number of slide-encoder tokens each, as the official WSI-LLaVA reads them.

A command of ``pathdata`` that lives here: it runs a slide encoder, and `data_tools` knows no models.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.commands.pooling import PoolRecipe
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.walk import files_below
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.engine import EngineOptions, add_engine_options
from pathplugins.data_tools.engine.jobs import SlideJob
from pathplugins.data_tools.engine.launch import launch


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Which bags, by which weights, and where to."""

    folder: Path
    slide_encoder: Path
    out: Path
    rows: int
    width: int
    pt: bool
    device: str
    coords_mpp: float | None
    allow_other_encoder: bool

    def __post_init__(self) -> None:
        for option, value in (("--rows", self.rows), ("--width", self.width)):
            if value < 1:
                raise PathPluginsError(f"{option} must be at least 1, got {value}")
        for what, path in (("DIR", self.folder), ("--slide-encoder", self.slide_encoder)):
            if not path.exists():
                raise PathPluginsError(f"{what} {path}: no such file or folder{near_path(path)}")

    def bags(self) -> list[Path]:
        """Return the bags below the folder, those of ``--out`` left out.

        Raises:
            PathPluginsError: there is none, or two of one name.
        """
        out = self.out.resolve()
        found = [path for path in files_below(self.folder) if path.suffix in (".h5", ".hdf5")]
        inside = [path for path in found if out in path.resolve().parents]
        found = sorted(path for path in found if out not in path.resolve().parents)
        if inside and not found:
            raise PathPluginsError(
                f"{self.folder}: all its .h5 files lie in --out {self.out}, where results are; give --out a folder "
                "beside the bags"
            )
        if not found:
            raise PathPluginsError(f"{self.folder}: no .h5 file in it; give a folder of bags")
        seen: dict[str, Path] = {}
        for path in found:
            if path.stem in seen:
                raise PathPluginsError(
                    f"{seen[path.stem]} and {path} have one name; pool each folder into its own --out"
                )
            seen[path.stem] = path
        return found


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from pathplugins.models.towers.pooled_tokens import ROWS, WIDTH

    sub.add_argument(
        "folder", type=Path, metavar="DIR", help="folder of bags with GigaPath's patch features, and folders in it"
    )
    sub.add_argument(
        "--slide-encoder", type=Path, required=True, metavar="FILE", help="its weights, slide_encoder.pth of GigaPath"
    )
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the pooled tokens, a file a bag, in folders as in DIR",
    )
    sub.add_argument("--rows", type=int, default=ROWS, help="tokens of each slide (default %(default)s)")
    sub.add_argument(
        "--width", type=int, default=WIDTH, help="channels, filled up with zeros; the encoder has 768 (%(default)s)"
    )
    sub.add_argument("--pt", action="store_true", help="write the published .pt, a bare float tensor, beside each file")
    sub.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 ...; auto: a GPU if any")
    sub.add_argument(
        "--coords-mpp", type=float, metavar="MPP", help="microns per stored pixel of bags that record none"
    )
    sub.add_argument("--allow-other-encoder", action="store_true", help="accept features of any patch encoder")
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Pool every bag; returns the exit code."""
    options, engine = read_options(args, PoolOptions), read_options(args, EngineOptions)
    bags = options.bags()
    recipe = PoolRecipe(
        command="pool",
        work=options.out,
        overwrite=engine.overwrite,
        slide_encoder=options.slide_encoder,
        torch_device=options.device,
        rows=options.rows,
        width=options.width,
        coords_mpp=options.coords_mpp,
        allow_other_encoder=options.allow_other_encoder,
        published=options.pt,
        folders={path.stem: path.parent.relative_to(options.folder).as_posix() for path in bags},
    )
    jobs = [SlideJob(slide_id=path.stem, slide=path) for path in bags]
    return launch(jobs, recipe, engine, summary_to=engine.summary_to)
