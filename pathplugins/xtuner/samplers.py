"""Samplers that tell the dataset which epoch it is, so that slides draw other patches each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler
from xtuner.dataset.samplers import LengthGroupedSampler

from pathplugins.data.grouping import grouped_by_modality
from pathplugins.xtuner.options import options_of


class EpochSampler(DefaultSampler):
    """MMEngine's sampler, in place of ``DefaultSampler``."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; MMEngine's loop calls this when it starts the samples anew."""
        super().set_epoch(epoch)
        _tell(self.dataset, epoch)


class EpochLengthGroupedSampler(LengthGroupedSampler):
    """XTuner's sampler of samples of like length, in place of ``LengthGroupedSampler``."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; MMEngine's loop calls this when it starts the samples anew."""
        super().set_epoch(epoch)
        _tell(self.dataset, epoch)


class ModalityLengthSampler(EpochSampler):
    """LLaVA's ``group_by_modality_length``, in the same order as in LLaMA-Factory.

    XTuner's sampler mixes images and text in the last megabatches, of which it makes up to a hundred batches.

    Args:
        dataset: a `PathologyDataset`, or several in one.
        batch_size: samples of a batch on one rank; must be the ``batch_size`` of the dataloader.
        seed: of the order; drawn by MMEngine, the same on all ranks, when None.
    """

    @options_of("sampler")
    def __init__(self, dataset: Any, *, batch_size: int, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle=True, seed=seed)
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[int]:
        """Yield the samples of this rank, batch after batch."""
        lengths = [length for part in parts_of(self.dataset) for length in part.modality_length]
        order = grouped_by_modality(lengths, self.batch_size, self.world_size, self.seed, self.epoch)
        order = np.resize(order, self.total_size)  # from the start again, so that all ranks have as many
        step = self.batch_size * self.world_size
        for start in range(0, len(order), step):
            batches = order[start : start + step].reshape(self.world_size, -1)  # [ranks, samples]
            yield from batches[self.rank].tolist()


def parts_of(dataset: Any) -> list[Any]:
    """Return the data sets that a concatenation is made of, however deep, or the one that is none."""
    inner = getattr(dataset, "datasets", None)
    return [dataset] if inner is None else [part for one in inner for part in parts_of(one)]


def _tell(dataset: Any, epoch: int) -> None:
    """Tell the dataset the epoch or, if it is made of others, those."""
    for part in parts_of(dataset):
        if hasattr(part, "epoch"):
            part.epoch.fill_(epoch)
