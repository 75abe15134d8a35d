"""Clock of the epochs: what is drawn in training, and in which order, follows it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback


class EpochClock(TrainerCallback):
    """Tells data workers, through shared memory, and the sampler which epoch it is."""

    def __init__(self) -> None:
        self.epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.sampler: Any = None

    def lead(self, loader: Any) -> None:
        """Let the sampler of ``loader`` shuffle by this clock alone.

        Under Transformers 4 a run that resumes within an epoch counts that epoch as its first one and shuffles it
        anew, so that some samples are seen twice and others not at all.
        """
        while getattr(loader, "batch_sampler", None) is not None:
            loader = loader.batch_sampler
        self.sampler = getattr(loader, "sampler", None)
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch = lambda epoch: None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the clock before the epoch's iterator, and so its workers, are made; right after a resume as well."""
        self.epoch.fill_(int((state.epoch or 0) + 1e-6))  # a share of steps done, summed up in floating point
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.epoch = int(self.epoch)
