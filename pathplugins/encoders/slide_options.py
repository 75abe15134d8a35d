"""Options of a slide that a model is asked about: how it becomes the bag that the model reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError


@dataclass(frozen=True, kw_only=True)
class SlideOptions:
    """How a slide becomes the bag that a model reads; what is None is what the model expects."""

    encoder: str | None = None
    """A name of ``pathdata encoders``, a model of timm, or a folder; for models that record none."""
    encoder_weights: Path | None = None
    """A local checkpoint of the encoder."""
    random_weights: int | None = None
    """Seed of untrained weights, for trial runs."""
    download: bool = False
    """Fetch the published weights."""
    activation: str | None = None
    """``quick_gelu`` or ``gelu``, for encoders whose publishers leave it open."""
    patch_size: int | None = None
    """Side in pixels at ``mpp``; None is a cell of the model's grid."""
    mpp: float | None = None
    """Microns per pixel of the patches; None is that of the model's grid."""
    slide_mpp: float | None = None
    """Level-0 microns per pixel of slides that record none."""

    def __post_init__(self) -> None:
        places = (self.encoder_weights, self.random_weights, self.download or None)
        if sum(place is not None for place in places) > 1:
            raise PathPluginsError(
                "--encoder-weights, --random-weights and --download exclude each other: give one of them"
            )
