"""Labelled pictures as batches of pixels: decode, cut, augment.

A worker cuts and scales one picture after another to bytes (``dataset``); colours, blur, flips and normalisation follow
on the whole batch (``batch``). Sizes are (w, h), boxes (x, y, w, h), arrays ``[H, W, C]``, tensors ``[B, C, H, W]``.
"""

from __future__ import annotations

from pathplugins.classify.pictures.augment import EVAL, SEGMENT, SELF_SUPERVISED, SUPERVISED, Augment
from pathplugins.classify.pictures.batch import BatchAugment
from pathplugins.classify.pictures.dataset import PatchDataset

__all__ = ["EVAL", "SEGMENT", "SELF_SUPERVISED", "SUPERVISED", "Augment", "BatchAugment", "PatchDataset"]
