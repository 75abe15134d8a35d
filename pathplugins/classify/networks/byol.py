"""BYOL: an online network learns to predict what a slow copy of itself says of another view (arXiv:2006.07733)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pathplugins.core.optional import need


class Byol(nn.Module):
    """Online and target encoders with projectors, a predictor, and a classifier that only watches.

    The target normalises by the statistics of the batch, as in the paper; its running statistics follow those of the
    online network by the same average as its weights (published: never copied, so that they stay those of the start).
    The classifier learns from features without gradient: its accuracy shows the progress of the encoder and does not
    change it.

    Args:
        encoder: gives ``[B, D]``; it becomes the online encoder.
        width: D.
        classes: K, of the watching classifier.
        hidden: hidden width of projector and predictor.
        projection: their output width P.
        dropout: share of features dropped before the classifier, in training.
    """

    def __init__(
        self, encoder: nn.Module, width: int, classes: int, *, hidden: int, projection: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        heads = need("lightly.models.modules.heads", extra="patchtcga")
        self.encoder = encoder
        self.projector = heads.BYOLProjectionHead(width, hidden, projection)
        self.predictor = heads.BYOLPredictionHead(projection, hidden, projection)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        self.target_encoder = _slow_copy(self.encoder)
        self.target_projector = _slow_copy(self.projector)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor | dict[str, Tensor]:
        """Return what the loss needs of two views, or the classifier's logits ``[B, K]`` of one.

        Args:
            first: normalised pixels ``[B, 3, S, S]``.
            second: another view of the same pictures.

        Returns:
            ``predictions`` and ``targets`` ``[2, B, P]``, where a prediction from one view faces the target of the
            other, and ``logits`` ``[2 B, K]`` of the first view, then of the second.
        """
        if second is None:
            return self.head(self.encoder(first))
        features = [self.encoder(view) for view in (first, second)]  # each [B, D]; batch norms see one view at a time
        predictions = torch.stack([self.predictor(self.projector(each)) for each in features])  # [2, B, P]
        with torch.no_grad():
            targets = torch.stack([self.target_projector(self.target_encoder(view)) for view in (second, first)])
        watched = self.dropout(torch.cat(features).detach())  # [2 B, D]
        return {"predictions": predictions, "targets": targets, "logits": self.head(watched)}

    @torch.no_grad()
    def move_target(self, momentum: float) -> None:
        """Move weights and batch statistics of the target towards the online network; counters are copied."""
        update_momentum = need("lightly.models.utils", extra="patchtcga").update_momentum
        for online, target in ((self.encoder, self.target_encoder), (self.projector, self.target_projector)):
            update_momentum(online, target, m=momentum)
            for theirs, ours in zip(online.buffers(), target.buffers(), strict=True):
                if ours.is_floating_point():
                    ours.lerp_(theirs, 1 - momentum)
                else:
                    ours.copy_(theirs)


def target_momentum(step: int, steps: int, start: float) -> float:
    """Return how much of the target a step keeps: ``start`` at step 0, rising to 1 along a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * step / steps) + 1) / 2


def byol_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return 2 - 2 cos, averaged over the batch and summed over both directions; the targets get no gradient.

    Args:
        predictions: ``[2, B, P]``, of both views.
        targets: ``[2, B, P]``, each of the other view.
    """
    negative_cosine = need("lightly.loss", extra="patchtcga").NegativeCosineSimilarity(dim=-1)
    return 2 * (2 + 2 * negative_cosine(predictions.float(), targets.detach().float()))


def _slow_copy(module: nn.Module) -> nn.Module:
    """Return a copy that no gradient reaches, whose batch norms keep no statistics of their own forward passes."""
    slow = copy.deepcopy(module).requires_grad_(False)
    for norm in slow.modules():
        if isinstance(norm, _BatchNorm):
            norm.momentum = 0.0
    return slow
