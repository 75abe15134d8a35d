"""Sampler of ``group_by_modality_length``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from torch.utils.data import Sampler

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.grouping import grouped_by_modality


class ModalityLengthSampler(Sampler):
    """The order of all ranks together, which Accelerate deals out batch by batch.

    Args:
        lengths: tokens of each sample, negative where it has no image.
        batch_size: samples of a batch.
        batches: batches of a step, over all ranks and accumulation steps.
        seed: of the run.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, batches: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size, self.batches, self.seed = batch_size, batches, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(grouped_by_modality(self.lengths, self.batch_size, self.batches, self.seed, self.epoch).tolist())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next order is drawn for."""
        self.epoch = epoch


def modality_lengths(dataset: Any, parts: Sequence[str] = ("",)) -> np.ndarray:
    """Return the tokens of each row of a tokenized dataset, negative without images; int64 [rows].

    ``parts`` is what stands before ``input_ids`` for each text of a row; their tokens are summed up.
    """
    if not hasattr(dataset, "select_columns") or not hasattr(dataset, "__len__"):
        raise PathPluginsError(
            "group_by_modality_length needs to know every length before training; set streaming: false"
        )
    counted = [np.zeros(0, np.int64)]
    names = [f"{part}input_ids" for part in parts]
    for table in dataset.select_columns([*names, "images"]).with_format("arrow").iter(batch_size=4096):
        tokens = sum(np.asarray(pc.list_value_length(table[name].combine_chunks())) for name in names)
        lists = table["images"].combine_chunks()
        images = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)) if str(lists.type) != "null" else 0 * tokens
        counted.append(np.where(images > 0, tokens, -tokens))
    return np.concatenate(counted).astype(np.int64)
