"""Tissue options: how tissue is detected where the user drew no mask."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from ...tissue.detect import TissueSpec
from ...tissue.stains import STAINS, Stain


@dataclass(frozen=True, kw_only=True)
class TissueOptions:
    """How tissue is detected."""

    stain: Stain = TissueSpec.stain
    """A name in ``STAINS``."""
    keep_pen: bool = False
    """Take what has the colour of pen marks for tissue too."""

    def tissue(self) -> TissueSpec:
        """Return the settings of tissue detection.

        Raises:
            PathPluginsError: values that cannot be used.
        """
        return TissueSpec(stain=self.stain, remove_pen=not self.keep_pen)


def add_tissue_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `TissueOptions`."""
    sub.add_argument(
        "--stain",
        choices=STAINS,
        metavar="NAME",
        default=TissueSpec.stain,
        help=f"stain of the slides, which decides what is ink: {', '.join(STAINS)} (default %(default)s)",
    )
    sub.add_argument("--keep-pen", action="store_true", help="count areas with the colour of pen marks as tissue, too")
