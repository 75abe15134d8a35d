"""Model options: which patch encoder or which CLIP, its weights, and how it runs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pathplugins.encoders.encoder import EncoderChoice
from pathplugins.published.open_clip import ACTIVATIONS
from pathplugins.published.pathgen_clip import BY_NAME

from ...clip.model import ClipChoice
from ...encoders.encode_slide import FeatureOptions


@dataclass(frozen=True, kw_only=True)
class EncodingOptions:
    """Which patch encoder, its weights, and how its features are made."""

    encoder: str
    """A name of ``pathdata encoders``, a model of timm, an hf-hub: id, or a folder."""
    activation: str | None = None
    """``quick_gelu`` or ``gelu``, for encoders whose publishers leave it open."""
    weights: Path | None = None
    """A local checkpoint."""
    random_weights: int | None = None
    """Seed of untrained weights."""
    download: bool = False
    """Fetch the published weights."""
    batch_size: int = FeatureOptions.batch_size
    """Patches per step of the encoder."""
    readers: int = FeatureOptions.readers
    """Threads that read patches."""
    device: str = "auto"
    """Torch's name of the device, or ``auto``."""
    dtype: Literal["float16", "float32"] = "float16"
    """Type of the features on disk."""

    def choice(self) -> EncoderChoice:
        """Return the encoder that was asked for."""
        return EncoderChoice(
            name=self.encoder,
            weights=self.weights,
            random_seed=self.random_weights,
            download=self.download,
            device=self.device,
            activation=self.activation,
        )

    def features(self, slides_folder: Path | None = None) -> FeatureOptions:
        """Return the settings of the features; ``slides_folder`` is the folder that slides moved to."""
        return FeatureOptions(
            batch_size=self.batch_size, dtype=self.dtype, readers=self.readers, slides_folder=slides_folder
        )


def add_encoding_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `EncodingOptions`."""
    sub.add_argument(
        "--encoder",
        required=True,
        metavar="NAME|PATH",
        help="a name of `pathdata encoders`, a model of timm, or a folder",
    )
    _add_activation(sub)
    weights = sub.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, metavar="FILE", help="local checkpoint (.safetensors or torch)")
    weights.add_argument("--random-weights", type=int, metavar="SEED", help="untrained weights, for a trial run")
    weights.add_argument("--download", action="store_true", help="fetch the published weights")
    sub.add_argument(
        "--batch-size",
        type=int,
        default=FeatureOptions.batch_size,
        help="patches per step of the encoder (default %(default)s)",
    )
    sub.add_argument(
        "--readers", type=int, default=FeatureOptions.readers, help="threads that read patches (default %(default)s)"
    )
    _add_device(sub)
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default=FeatureOptions.dtype,
        help="type of the features on disk (default %(default)s)",
    )


def _add_activation(sub: argparse.ArgumentParser) -> None:
    """Add ``--activation``, which encoders and CLIP share."""
    open_ones = ", ".join(name for name, row in BY_NAME.items() if row.activation is None)
    sub.add_argument("--activation", choices=ACTIVATIONS, help=f"where the publishers do not say it: {open_ones}")


def _add_device(sub: argparse.ArgumentParser) -> None:
    """Add ``--device``, which encoders and CLIP share."""
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Which CLIP, and how it runs."""

    clip: Path
    """A directory of Transformers or open_clip, or a file of open_clip's weights."""
    clip_arch: str | None = None
    """Name of open_clip's architecture, for a file that does not record it."""
    activation: str | None = None
    """``quick_gelu`` or ``gelu``, for files whose publishers leave it open."""
    device: str = "auto"
    """Torch's name of the device, or ``auto``."""
    batch_size: int = ClipChoice.batch_size
    """Pictures per step of the model."""

    def choice(self) -> ClipChoice:
        """Return the CLIP that was asked for."""
        return ClipChoice(
            path=self.clip,
            arch=self.clip_arch,
            activation=self.activation,
            device=self.device,
            batch_size=self.batch_size,
        )


def add_clip_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `ClipOptions`."""
    sub.add_argument(
        "--clip",
        type=Path,
        required=True,
        metavar="DIR|FILE",
        help="a CLIP in the format of Transformers or open_clip, or a file of open_clip's weights with --clip-arch",
    )
    sub.add_argument(
        "--clip-arch",
        metavar="NAME",
        help=f"open_clip's name of the architecture of a file, or {', '.join(BY_NAME)}",
    )
    _add_activation(sub)
    _add_device(sub)
    sub.add_argument(
        "--batch-size", type=int, default=ClipChoice.batch_size, help="pictures at a time (default %(default)s)"
    )
