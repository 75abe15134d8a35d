"""Encoder cards: all that is known of one patch encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pathplugins.published.licence import Licence
from pathplugins.published.preprocessing import Preprocess

SEE_TIMM = Licence(shown="see timm")
Pool = Literal["model", "class+mean", "map mean"]
Precision = Literal["float16", "bfloat16", "float32"]
Positions = Literal["timm", "dino", "plain"]
"""How position embeddings of another grid are resized: as timm does (bicubic, smoothed where they shrink), as DINO's
code (bicubic, the new side counted as 0.1 larger), or plainly bicubic, as Transformers' DINOv2."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Patches an encoder is meant for."""

    patch_px: int
    """Side in pixels at ``mpp``, before the encoder's own resizing."""
    mpp: float
    """Microns per pixel."""
    by: str
    """Who says so."""

    def __str__(self) -> str:
        return f"{self.patch_px} px at {self.mpp:g} um/px"


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """One encoder: a row of ``encoders/``, or a model that a user names."""

    name: str
    what: str = ""
    """The encoder in a few words, for tables."""
    family: Literal["timm", "conch", "conch-v1.5", "torchscript"] = "timm"
    """A model of timm; one under the attentional pooler of a CONCH; or a TorchScript file, which is its own model."""
    architecture: str = ""
    """timm's name of the model."""
    timm_kwargs: dict[str, Any] = field(default_factory=dict)
    """Differences from timm's architecture, in plain values (``pathplugins/encoders/build.py`` resolves them)."""
    clip: str = ""
    """Name of its row in ``pathgen_clip``, which may leave the activation to the user."""
    pool: Pool = "model"
    """How the model's output becomes one vector a patch; ``model`` takes it as it is."""
    method: str = ""
    """Its row in ``weights/names/training_methods.py``, where its checkpoints lie below names of their own."""
    unused: tuple[str, ...] = ()
    """Prefixes of weights that the published checkpoint has and the features do not need."""
    width: int | None = None
    """Features per patch; None: as the model says."""
    tokens: int | None = None
    """Patch tokens of an image, class and register tokens not counted; None: as the model says."""
    token_width: int | None = None
    """Width of those tokens: that of a vision tower; None: as the model says."""
    positions: Positions | None = None
    """How its publishers resize position embeddings where a file holds those of another grid; None: it is refused."""
    preprocess: Preprocess | None = None
    """None: as timm records for the model."""
    frame: Frame | None = None
    """Patches it is meant for; None: nobody says."""
    precision: Precision = "float16"
    """Precision its publishers run it in on a GPU; on a CPU it is always float32."""
    hub_id: str | None = None
    """Repository ``--download`` fetches weights from; None: the one timm knows for the architecture."""
    hub_file: str | None = None
    """File of weights in it; None: a whole repository in timm's format."""
    local_only: bool = False
    """Whether no hub has the weights."""
    weights: Path | None = None
    """Weights that come with a local folder."""
    licence: Licence = SEE_TIMM
    gated: bool = False
    """Whether the hub gives the weights only to accounts that accepted its terms."""
    source: str = "https://huggingface.co/timm"
    checked: str = "timm"
    """Where the numbers of this row were read; the published weights were not run here."""
    note: str = ""
    """A warning for users, before they rely on it."""

    @property
    def access(self) -> str:
        """How the weights are had: open or gated on the hub, or a file of one's own."""
        return "own file" if self.local_only else "gated" if self.gated else "open"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of its features in bags: of this row, and of the class token alone, which other tools may keep."""
        alone = (self.token_width,) if self.pool == "class+mean" else ()
        return tuple(width for width in (self.width, *alone) if width is not None)
