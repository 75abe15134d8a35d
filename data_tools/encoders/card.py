"""Cards: all that is known of one patch encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)  #: of CLIP
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

Pool = Literal["model", "class+mean", "map mean"]
Precision = Literal["float16", "bfloat16", "float32"]


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """From a patch to what the encoder takes."""

    resize_px: int
    """Side a patch is resized to."""
    crop_px: int
    """Side of the central crop of that: the encoder's input."""
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """One encoder."""

    name: str
    family: Literal["timm", "conch", "torchscript"] = "timm"
    """A model of timm; one under CONCH's attentional pooler; or a TorchScript file, which is its own model."""
    architecture: str = ""
    """timm's name of the model."""
    timm_kwargs: dict[str, Any] = field(default_factory=dict)
    """What differs from timm's architecture, in plain values (see ``build.py``)."""
    pool: Pool = "model"
    """What becomes of the model's output; ``model`` takes it as it is."""
    unused: tuple[str, ...] = ()
    """How names of weights begin that the published checkpoint has and the features do not need."""
    width: int | None = None
    """Features per patch; None is whatever the model says."""
    preprocess: Preprocess | None = None
    """None is what timm records for the model."""
    precision: Precision = "float16"
    """What its publishers run it in on a GPU; on a CPU it is always float32."""
    hub_id: str | None = None
    """Repository ``--download`` fetches weights from; None is whatever timm knows for the architecture."""
    hub_file: str | None = None
    """The file in it; None is a whole repository in timm's format."""
    local_only: bool = False
    """Whether no hub has the weights."""
    weights: Path | None = None
    """The weights that come with a local folder."""
    licence: str = "see timm"
    gated: bool = False
    source: str = "https://huggingface.co/timm"
    checked: str = "timm"
    """Where the numbers of this row were read, as nobody here has run the published weights."""
    note: str = ""
    """What a user should know before relying on it."""
