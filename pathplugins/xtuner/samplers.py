"""Samplers that tell the dataset which epoch it is, so that slides draw other patches each time."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import DefaultSampler
from xtuner.dataset.samplers import LengthGroupedSampler


class EpochSampler(DefaultSampler):
    """MMEngine's sampler, in place of ``DefaultSampler``."""

    def set_epoch(self, epoch: int) -> None:
        """Called by MMEngine's loop when it starts the samples anew."""
        super().set_epoch(epoch)
        _tell(self.dataset, epoch)


class EpochLengthGroupedSampler(LengthGroupedSampler):
    """XTuner's sampler of samples of like length, in place of ``LengthGroupedSampler``."""

    def set_epoch(self, epoch: int) -> None:
        """Called by MMEngine's loop when it starts the samples anew."""
        super().set_epoch(epoch)
        _tell(self.dataset, epoch)


def _tell(dataset: Any, epoch: int) -> None:
    """The dataset and, if it is made of others, those."""
    for part in getattr(dataset, "datasets", [dataset]):
        if hasattr(part, "epoch"):
            part.epoch.fill_(epoch)
