"""Train an attention probe on the slides of one fold, and stop where the validation part says so."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pathplugins.classify.probe.bag_rows import BagRows, Moments
from pathplugins.classify.probe.networks import BRANCHES, AttentionProbe
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import stable_seed

HEADS = {"abmil": 1, "acmil": BRANCHES}
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-5
PATIENCE = 6
"""Epochs without a validation loss lower by ``LOWER`` before training ends."""
LOWER = 0.01


class Trained(NamedTuple):
    """A fold's probe."""

    network: AttentionProbe
    epoch: int
    """Whose weights these are, counted from 1."""


def train_attention(
    rows: BagRows,
    moments: Moments,
    labels: np.ndarray,
    classes: int,
    train: np.ndarray,
    valid: np.ndarray,
    *,
    method: str,
    epochs: int,
    seed: int,
    device: str,
) -> Trained:
    """Train with AdamW, a bag a step, and return the epoch after which the cross-entropy on ``valid`` fell no more.

    Slides in neither part are not looked at: features are scaled by those of ``train``.

    Args:
        rows: The features of S slides.
        moments: Of the same slides.
        labels: int64 [S], 0..K-1.
        classes: K.
        train: Places of slides.
        valid: Places of slides.
        method: A key of ``HEADS``.
        epochs: At most so many; the rate falls to 0 over them, along a cosine.
        seed: Of the start, the order of slides, the rows and the masks.
        device: Of PyTorch.

    Raises:
        PathPluginsError: training diverged.
    """
    mean, scale = moments.spread(train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_seed(seed, "start"))
        network = AttentionProbe(len(mean), classes, HEADS[method], mean=mean, scale=scale).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, foreach=True)
    steps = epochs * len(train)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    order = np.random.default_rng(stable_seed(seed, "order"))
    masks = torch.Generator().manual_seed(stable_seed(seed, "masks"))
    best, best_loss, best_epoch = {}, math.inf, 0
    for epoch in range(1, epochs + 1):
        for slide in order.permutation(train).tolist():
            features = rows.drawn(slide, stable_seed(seed, epoch, slide)).to(device)
            loss = network(features, masks).loss(int(labels[slide]))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            falling.step()
        logits = logits_of(network, rows, valid, device)
        valid_loss = float(F.cross_entropy(logits, torch.from_numpy(labels[valid])))
        if valid_loss < best_loss - LOWER:
            best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), valid_loss, epoch
        elif epoch - best_epoch >= PATIENCE:
            break
    if not best:
        raise PathPluginsError(
            f"{method} diverged: the loss on the validation part was never a number; look at the features with "
            "`pathdata inspect`, or probe with --method mean"
        )
    network.load_state_dict(best)
    return Trained(network, best_epoch)


@torch.no_grad()
def logits_of(network: AttentionProbe, rows: BagRows, slides: np.ndarray, device: str) -> Tensor:
    """Return the logits of some slides by all their rows, float64 ``[len(slides), K]`` on the CPU."""
    return torch.stack([network(rows.all(slide).to(device)).logits.double().cpu() for slide in slides.tolist()])
