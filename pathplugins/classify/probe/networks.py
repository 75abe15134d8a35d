"""Gated attention over the patches of a bag, with one head (ABMIL) or several (ACMIL)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN, GATES = 128, 128
BRANCHES = 5
TOP, MASKED_SHARE = 10, 0.6
"""Of each head's ``TOP`` highest scores so many are masked at random in every step of training."""
_MASKED = -1e9


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What a network says of one bag."""

    logits: Tensor
    """[K], of the bag."""
    head_logits: Tensor
    """[H, K], of each head by itself; of one head the bag's."""
    attention: Tensor
    """[H, N], rows sum to 1."""

    def loss(self, label: int) -> Tensor:
        """Return the cross-entropy; of several heads: of the bag, the mean of the heads, and how alike they look."""
        target = torch.tensor([label], device=self.logits.device)
        bag = F.cross_entropy(self.logits[None], target)
        heads = len(self.head_logits)
        if heads == 1:
            return bag
        each = F.cross_entropy(self.head_logits, target.expand(heads))
        return bag + each + mean_cosine(self.attention)


class AttentionProbe(nn.Module):
    """``h = relu(W x)``, ``a = w (tanh(V h) * sigmoid(U h))``, softmax over the bag, one linear layer.

    With several heads each has its own ``w`` and its own classifier, and the bag is seen with the mean of their
    attentions (ACMIL, Zhang et al., arXiv:2311.07125); one head is ABMIL (Ilse et al., arXiv:1802.04712).

    Args:
        width: D.
        classes: K.
        heads: H.
        mean: [D], subtracted from every feature.
        scale: [D], divides it then.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, classes: int, heads: int, *, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.embed = nn.Linear(width, HIDDEN, bias=False)
        self.gate_tanh = nn.Linear(HIDDEN, GATES)
        self.gate_sigmoid = nn.Linear(HIDDEN, GATES)
        self.score = nn.Linear(GATES, heads)
        self.classifier = nn.Linear(HIDDEN, classes)
        self.head_classifiers = nn.ModuleList(nn.Linear(HIDDEN, classes) for _ in range(heads if heads > 1 else 0))

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Pooled:
        """Look at one bag.

        Args:
            features: [N, D].
            generator: Draws which of the highest scores are masked, on the CPU; None masks none.
        """
        h = F.relu(self.embed((features - self.mean) / self.scale))  # [N, C]
        gates = torch.tanh(self.gate_tanh(h)) * torch.sigmoid(self.gate_sigmoid(h))
        scores = self.score(gates).T  # [H, N]
        if generator is not None and self.head_classifiers:
            scores = mask_highest(scores, generator)
        attention = scores.softmax(1)  # [H, N]
        logits = self.classifier(attention.mean(0) @ h)  # [K]
        if not self.head_classifiers:
            return Pooled(logits=logits, head_logits=logits[None], attention=attention)
        views = zip(self.head_classifiers, attention @ h, strict=True)
        head_logits = torch.stack([classify(view) for classify, view in views])  # [H, K]
        return Pooled(logits=logits, head_logits=head_logits, attention=attention)


def mask_highest(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Return scores ``[H, N]`` with part of each row's highest masked, so that no few patches decide alone."""
    top = min(TOP, scores.shape[1])
    masked = int(top * MASKED_SHARE)
    highest = scores.topk(top, dim=1).indices  # [H, top]
    drawn = torch.rand(highest.shape, generator=generator).argsort(1)[:, :masked].to(scores.device)
    return scores.scatter(1, highest.gather(1, drawn), _MASKED)


def mean_cosine(attention: Tensor) -> Tensor:
    """Return the mean cosine of all pairs of rows, ``[H, N]`` -> scalar: 1 where all heads look at the same."""
    unit = F.normalize(attention, dim=1)
    first, second = torch.triu_indices(len(unit), len(unit), 1, device=unit.device)
    return (unit @ unit.T)[first, second].mean()
