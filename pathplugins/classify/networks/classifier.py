"""A patch encoder and a linear classifier on its features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Classifier(nn.Module):
    """Pixels in, logits out.

    Args:
        encoder: gives ``[B, D]``.
        width: D.
        classes: K.
        dropout: share of features dropped before the classifier, in training.
        frozen: whether the encoder keeps its weights, and the statistics of its batch norms.
    """

    def __init__(
        self, encoder: nn.Module, width: int, classes: int, *, dropout: float = 0.0, frozen: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        self.frozen = frozen
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        if frozen:
            self.encoder.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits ``[B, K]`` of normalised pixels ``[B, 3, S, S]``."""
        return self.head(self.dropout(self.encoder(pixels)))

    def train(self, mode: bool = True) -> Any:
        """Switch between training and evaluation; a frozen encoder stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self
