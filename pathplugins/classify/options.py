"""Options of ``pathplugins classify train`` that are ours; the others are those of Transformers' TrainingArguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.value_types import wrong_types

RecipeName = Literal["supervised", "byol", "linear", "finetune", "segment"]
HeadName = Literal["linear", "deeplabv3plus", "fpn", "unet", "tokens"]


@dataclass(frozen=True, kw_only=True)
class ClassifyArguments:
    """The data, the encoder and the kind of training."""

    recipe: RecipeName
    """``supervised`` and ``finetune`` train encoder and classifier, from scratch and from weights; ``linear`` a
    classifier on a frozen encoder; ``byol`` an encoder without labels; ``segment`` encoder and mask decoder."""

    data: str
    """Folder of the patch set."""
    kind: str | None = None
    """Kind of patch set, as in ``pathdata patchtcga inspect``; not set: found from the folder."""
    split: str | None = None
    """Split file of ``pathdata patchtcga split``, or the published pickle; not set: the folders train, valid and test
    of the patch set, or all pictures for training where it has none."""
    fold: int = 0
    """Fold of the split, from 0."""
    allow_shared_slides: bool = False
    """Train although a slide has pictures in two parts, as in the published folds."""

    encoder: str
    """Name of an encoder (``pathdata encoders``) or of a timm model, or the directory of an encoder or former run."""
    weights: str | None = None
    """File of weights for the encoder, of any project; a directory brings its own."""
    random_weights: int | None = None
    """Seed of an untrained encoder, in place of weights."""
    reset_bn: bool = False
    """Forget the running statistics of the batch norms that came with the weights (published: always)."""
    image_size: int | None = None
    """Side of the encoder's input in pixels; not set: the encoder's own."""
    centre_px: int | None = None
    """Central square of a patch that is used, in its pixels; 287 of 512 px at 0.39 um/px are 224 px at 0.5 um/px. Not
    set: the whole patch."""

    head: HeadName | None = None
    """``linear`` for classes; ``deeplabv3plus``, ``fpn`` or ``unet`` for masks on a convolutional encoder, ``tokens``
    on a ViT. Not set: ``linear``, ``deeplabv3plus`` or ``tokens``, whichever fits."""
    dropout: float = 0.0
    """Share of features dropped before the classifier while it trains."""

    scale_learning_rate: int | None = None
    """Multiply ``learning_rate`` by the pictures of an optimiser step divided by this number; not set: as it is."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate rises from 0; ``warmup_steps`` counts steps instead."""
    lars: bool = False
    """Use LARS with momentum 0.9 in place of ``optim``; norms and biases are neither decayed nor rescaled."""

    target_momentum: float = 0.99
    """BYOL: share of the target network that a step keeps at the start; it rises to 1 along a cosine."""
    projection_hidden: int = 4096
    """BYOL: hidden width of projector and predictor."""
    projection_width: int = 256
    """BYOL: output width of projector and predictor."""

    def __post_init__(self) -> None:
        """Check each value by itself, and those that exclude each other.

        Raises:
            PathPluginsError: all that is wrong, a line each.
        """
        wrong = [f"{name}: {what}" for name, what in wrong_types(type(self), vars(self)).items()]
        wrong = wrong or [*self._out_of_range(), *self._contradictions()]
        if wrong:
            raise PathPluginsError("\n".join(wrong))

    def _out_of_range(self) -> list[str]:
        ranges = {
            "fold": self.fold >= 0,
            "image_size": self.image_size is None or self.image_size > 0,
            "centre_px": self.centre_px is None or self.centre_px > 0,
            "dropout": 0 <= self.dropout < 1,
            "scale_learning_rate": self.scale_learning_rate is None or self.scale_learning_rate > 0,
            "warmup_epochs": self.warmup_epochs >= 0,
            "target_momentum": 0 <= self.target_momentum <= 1,
            "projection_hidden": self.projection_hidden > 0,
            "projection_width": self.projection_width > 0,
        }
        limits = {"dropout": "from 0 to below 1", "target_momentum": "from 0 to 1", "fold": "0 or more"}
        limits["warmup_epochs"] = "0 or more"
        return [
            f"{name}: got {getattr(self, name)}, wanted {limits.get(name, 'above 0')}"
            for name, fits in ranges.items()
            if not fits
        ]

    def _contradictions(self) -> list[str]:
        wrong = []
        if self.weights is not None and self.random_weights is not None:
            wrong.append("weights and random_weights exclude each other: remove one")
        masks = self.recipe == "segment"
        if self.head is not None and masks == (self.head == "linear"):
            heads = "deeplabv3plus, fpn, unet or tokens" if masks else "linear"
            wrong.append(f"head: got {self.head} with recipe {self.recipe}, wanted {heads}; correct or remove it")
        if self.recipe == "linear" and self.reset_bn:
            wrong.append("reset_bn: a frozen encoder never learns new statistics; remove it, or use recipe finetune")
        return wrong
