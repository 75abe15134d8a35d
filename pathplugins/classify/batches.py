"""Which pictures of an epoch a process reads, in which order, as whole optimiser steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from pathplugins.core.errors import PathPluginsError


class StepBatches(Sampler[list[int]]):
    """Batches of picture numbers for one process, in whole optimiser steps.

    The order of an epoch depends on ``seed`` and the epoch alone, and a step takes the same pictures however many
    processes share it. The pictures left over by the last whole step wait for the next epoch, with its other order.

    Args:
        count: N, pictures of the training part.
        batch: B, pictures of a process in a batch.
        accumulation: batches of a process in an optimiser step.
        rank: number of this process.
        world: number of processes.
        seed: of the order.

    Raises:
        PathPluginsError: fewer pictures than a step takes.
    """

    def __init__(self, count: int, *, batch: int, accumulation: int, rank: int, world: int, seed: int) -> None:
        self.count, self.batch, self.accumulation = count, batch, accumulation
        self.rank, self.world, self.seed = rank, world, seed
        self.epoch = 0
        """Epoch that the next iteration gives."""
        self.steps = count // self.pictures
        """Optimiser steps of an epoch."""
        if not self.steps:
            raise PathPluginsError(
                f"{count} pictures for training but a step takes {self.pictures} ({batch} x {accumulation} batches x "
                f"{world} processes); lower per_device_train_batch_size or gradient_accumulation_steps"
            )

    @property
    def pictures(self) -> int:
        """Pictures of an optimiser step, over all processes."""
        return self.batch * self.accumulation * self.world

    def __len__(self) -> int:
        return self.steps * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=generator)  # [N]
        whole = order[: self.steps * self.pictures].view(-1, self.world, self.batch)  # [batches, world, B]
        for each in whole[:, self.rank]:
            yield each.tolist()
