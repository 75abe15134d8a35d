"""Options of representative patches: candidate grid, sentences and projects, and how many patches are chosen."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...pathgen.select.grid import GridSpec
from ...pathgen.select.ranking import ChoiceSpec
from ...pathgen.select.recipe import SelectRecipe
from .masks import add_mask_options
from .resolution import add_slide_mpp_option
from .tissue import add_tissue_options


@dataclass(frozen=True, kw_only=True)
class SentenceOptions:
    """The sentences that patches are compared with, and the project of each slide."""

    prompts: Path | None = None
    reports: Path | None = None
    project: str | None = None
    projects: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateOptions:
    """How slides are cut into candidate patches."""

    patch_size: int = GridSpec.patch_size
    mpp: float | None = None
    overlap: int = GridSpec.overlap
    min_tissue: float = GridSpec.min_tissue
    slide_mpp: float | None = None

    def spec(self) -> GridSpec:
        """Return the settings of the grid.

        Raises:
            PathPluginsError: a value that cannot be used.
        """
        return GridSpec(**vars(self))


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """How many patches are chosen, and by which rankings."""

    target: int = ChoiceSpec.target
    shares: tuple[float, ...] = ChoiceSpec.shares
    clusters: int | Literal["auto", "published"] = ChoiceSpec.clusters
    max_similarity: float = ChoiceSpec.max_similarity
    seed: int = ChoiceSpec.seed

    def spec(self) -> ChoiceSpec:
        """Return the settings of the choice.

        Raises:
            PathPluginsError: a value that cannot be used.
        """
        return ChoiceSpec(**vars(self))


def add_sentence_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `SentenceOptions`."""
    sub.add_argument("--prompts", type=Path, metavar="YAML", help="sentences by project instead of the built-in ones")
    sub.add_argument("--reports", type=Path, metavar="JSON", help="sentences of the report by slide")
    project = sub.add_mutually_exclusive_group()
    project.add_argument(
        "--project", metavar="NAME", help="project of all slides, e.g. TCGA-BRCA (default: by barcode)"
    )
    project.add_argument("--projects", type=Path, metavar="CSV", help="project of each slide: columns slide, project")


def add_candidate_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `CandidateOptions`, and those of tissue and masks."""
    grid = CandidateOptions()
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
    add_slide_mpp_option(sub)
    add_tissue_options(sub)
    add_mask_options(sub)


def add_choice_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `ChoiceOptions`, the quality of the pictures and the number of readers."""
    choice = ChoiceOptions()
    sub.add_argument(
        "--target", type=int, default=choice.target, help="largest number of patches a slide (default %(default)s)"
    )
    sub.add_argument(
        "--shares",
        type=_shares,
        default=choice.shares,
        metavar="D,R,S",
        help="shares chosen by prompts, by the report, and spread over clusters (default 1,1,2)",
    )
    sub.add_argument(
        "--clusters",
        type=_cluster_count,
        default=choice.clusters,
        metavar="K|auto|published",
        help="clusters of k-means; auto: the root of 1.6 times the patches, published: of 1.6 times the batches of 128 "
        "patches (default auto)",
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


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"wanted three numbers such as 1,1,2, got {text!r}") from error


def _cluster_count(text: str) -> int | str:
    if text in ("auto", "published"):
        return text
    if not text.lstrip("-").isdecimal():
        raise argparse.ArgumentTypeError(f"wanted auto, published or a number such as 20, got {text!r}")
    return int(text)
