"""Run a trained network over a patch set, batch by batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pathplugins.classify.pictures import BatchAugment, PatchDataset
from pathplugins.classify.runs import Run
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet

_PROGRESS_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How pictures are read and put through the network."""

    device: str = "cpu"
    batch_size: int = 64
    workers: int = 0
    """Processes that read pictures; 0: this one."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A picture as the network saw it."""

    pixels: np.ndarray
    """uint8 ``[S, S, 3]``."""
    truth: np.ndarray
    """Mask, uint8 ``[S, S]``; the label as an array without axes where the task is classes."""
    predicted: np.ndarray
    """Likewise, int64."""


def class_probabilities(run: Run, patches: PatchSet, pace: Pace) -> np.ndarray:
    """Return the probability of every class for every picture, float32 ``[N, K]``.

    Raises:
        PathPluginsError: pictures that cannot be read, all of them named.
    """
    found = np.empty((len(patches), len(run.classes)), np.float32)
    for at, _, _, logits in _batches(run, patches, pace):
        found[at] = logits.float().softmax(1).cpu().numpy()
    return found


def mask_counts(run: Run, patches: PatchSet, pace: Pace) -> np.ndarray:
    """Return the pixels of every picture by truth (rows) and prediction (columns), int32 ``[N, K, K]``.

    Raises:
        PathPluginsError: pictures or masks that cannot be read, all of them named.
    """
    k = len(run.classes)
    found = np.empty((len(patches), k, k), np.int32)
    for at, _, truth, logits in _batches(run, patches, pace):
        pairs = truth.to(logits.device).long() * k + logits.argmax(1)  # [B, S, S]
        pairs += k * k * torch.arange(len(pairs), device=pairs.device)[:, None, None]
        counts = torch.bincount(pairs.flatten(), minlength=len(pairs) * k * k)
        found[at] = counts.view(-1, k, k).cpu().numpy()
    return found


def seen(run: Run, patches: PatchSet, pace: Pace) -> list[Seen]:
    """Return pictures with their truth and prediction; for a few of them, since all stay in memory."""
    return [
        Seen(pixels=one.permute(1, 2, 0).numpy(), truth=right.numpy(), predicted=said.argmax(0).cpu().numpy())
        for _, pixels, truth, logits in _batches(run, patches, pace)
        for one, right, said in zip(pixels, truth, logits, strict=True)
    ]


class _Pictures(Dataset[Any]):
    """Samples of a `PatchDataset`; in place of one that cannot be read, the reason."""

    def __init__(self, pictures: PatchDataset) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Tensor] | str:
        """Return a sample or a fault: an error raised in a worker would reach the user as a traceback."""
        try:
            return self.pictures[index]
        except PathPluginsError as error:
            return str(error)


def _collated(samples: list[dict[str, Tensor] | str]) -> tuple[list[str], dict[str, Tensor]]:
    """Part the faults from the samples, and stack these."""
    whole = [sample for sample in samples if isinstance(sample, dict)]
    stacked = {key: torch.stack([sample[key] for sample in whole]) for key in whole[0]} if whole else {}
    return [sample for sample in samples if isinstance(sample, str)], stacked


def _batches(run: Run, patches: PatchSet, pace: Pace) -> Iterator[tuple[np.ndarray, Tensor, Tensor, Tensor]]:
    """Yield positions ``[B]``, pixels uint8 ``[B, 3, S, S]``, labels or masks, and logits.

    Raises:
        PathPluginsError: after the last batch, every picture that cannot be read.
    """
    pictures = PatchDataset(patches, size=run.preprocess.crop_px, centre_px=run.centre_px)
    normalise = BatchAugment(mean=run.preprocess.mean, std=run.preprocess.std).to(pace.device)
    loader = DataLoader(_Pictures(pictures), pace.batch_size, num_workers=pace.workers, collate_fn=_collated)
    model = run.model.to(pace.device).eval()
    faults: list[str] = []
    began = said_at = time.monotonic()
    for number, (wrong, batch) in enumerate(loader, 1):
        faults += wrong
        if batch and not faults:  # once one is lost the others are only read
            with torch.inference_mode():
                logits = model(normalise(batch["pixels"].to(pace.device)))
            yield batch["index"].numpy(), batch["pixels"], batch["labels"], logits
        if (now := time.monotonic()) - said_at > _PROGRESS_S:
            left = timedelta(seconds=round((now - began) / number * (len(loader) - number)))
            log.info("%d of %d pictures, %s left", number * pace.batch_size, len(pictures), left)
            said_at = now
    if faults:
        raise PathPluginsError(
            f"{len(faults)} of {len(pictures)} pictures cannot be used; replace them or leave them out:\n"
            f"{first_shown(faults)}"
        )
