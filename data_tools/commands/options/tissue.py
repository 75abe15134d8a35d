"""Tissue options: how tissue is detected where the user drew no mask."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import require

from ...tissue.detect import TissueSpec
from ...tissue.own_model import read_own_model
from ...tissue.stains import STAINS, Stain


@dataclass(frozen=True, kw_only=True)
class TissueOptions:
    """How tissue is detected."""

    stain: Stain = TissueSpec.stain
    """A name in ``STAINS``."""
    keep_pen: bool = False
    """Take what has the colour of pen marks for tissue too."""

    tissue_model: Path | None = None
    """A model that finds tissue instead."""

    def tissue(self) -> TissueSpec:
        """Return the settings of tissue detection.

        Raises:
            PathPluginsError: values that cannot be used.
        """
        if self.tissue_model is None:
            return TissueSpec(stain=self.stain, remove_pen=not self.keep_pen)
        if self.keep_pen or self.stain != TissueSpec.stain:
            raise PathPluginsError(
                f"--tissue-model {self.tissue_model} decides what is tissue; leave --stain and --keep-pen out"
            )
        model = read_own_model(self.tissue_model)
        if model.path.suffix.lower() == ".onnx":
            require("onnxruntime", extra="tissue")
        else:
            require("torch")
        return TissueSpec(model=model)


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
    sub.add_argument(
        "--tissue-model",
        type=Path,
        metavar="FILE",
        help="find tissue with a model of your own: ONNX or TorchScript, its description (.json) beside it",
    )
