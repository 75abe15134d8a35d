"""Order the samples of an epoch so that a batch holds images or text alone, and samples about as long.

As LLaVA v1.5 does with ``group_by_modality_length`` (its ``LengthGroupedSampler``), with our own random numbers: the
order depends on seed and epoch alone, so every rank and a run that resumes finds the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def grouped_by_modality(lengths: Sequence[int], batch_size: int, batches: int, seed: int, epoch: int) -> np.ndarray:
    """Order the samples of an epoch: int64 [samples].

    All ranks read ``batch_size * batches`` samples in one step. These are of one modality, except in the last steps,
    which take the rest of both, and are dealt so that the batches of a step are about equally long in sum.

    Args:
        lengths: tokens of each sample, not zero; negative where it has no image.
        batch_size: samples in a batch.
        batches: batches of a step, over all ranks and accumulation steps.
        seed: seed of the run.
        epoch: counted from 0.
    """
    sizes = np.asarray(lengths, np.int64)  # [samples]
    rng = np.random.default_rng([seed, epoch])
    whole, rest = [], np.zeros(0, np.int64)
    for members in (np.flatnonzero(sizes > 0), np.flatnonzero(sizes < 0)):
        drawn = rng.permutation(members)
        full = len(drawn) - len(drawn) % (batch_size * batches)
        whole += list(drawn[:full].reshape(-1, batch_size * batches))
        rest = np.concatenate([rest, drawn[full:]])
    steps = [_dealt(whole[place], np.abs(sizes), batches) for place in rng.permutation(len(whole))]
    last = rest[np.argsort(-np.abs(sizes[rest]), kind="stable")]
    return np.concatenate([*steps, last])


def _dealt(members: np.ndarray, sizes: np.ndarray, batches: int) -> np.ndarray:
    """Deal the samples of a step to its batches: the longest first, each into the batch that is shortest so far."""
    room = len(members) // batches
    dealt: list[list[int]] = [[] for _ in range(batches)]
    total = [0] * batches
    for sample in members[np.argsort(-sizes[members], kind="stable")].tolist():
        batch = min((b for b in range(batches) if len(dealt[b]) < room), key=total.__getitem__)
        dealt[batch].append(sample)
        total[batch] += int(sizes[sample])
    return np.array([sample for batch in dealt for sample in batch], np.int64)
