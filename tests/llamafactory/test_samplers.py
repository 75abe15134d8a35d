"""The order of samples by modality, over epochs and ranks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.host


@pytest.mark.parametrize("workers", [0, 2])
def test_p21_the_sampler_goes_by_the_clock_and_by_the_rank(workers: int) -> None:
    """Through Accelerate, as the trainer does it: both ranks see one modality in a step, and no sample twice."""
    from accelerate.data_loader import prepare_data_loader
    from datasets import Dataset
    from torch.utils.data import DataLoader

    from pathplugins.llamafactory.epoch_clock import EpochClock
    from pathplugins.llamafactory.samplers import ModalityLengthSampler, modality_lengths

    rows = {
        "input_ids": [[1] * (5 + n % 7) for n in range(40)],
        "images": [["a.png"] if n % 2 else None for n in range(40)],
    }
    lengths = modality_lengths(Dataset.from_dict(rows))
    assert lengths.tolist() == [(5 + n % 7) * (1 if n % 2 else -1) for n in range(40)]
    epochs = []
    for epoch in (0.0, 0.4, 1.0):
        ranks = []
        for rank in (0, 1):
            sampler, clock = ModalityLengthSampler(lengths, batch_size=4, batches=2, seed=3), EpochClock()
            loader = DataLoader(range(40), batch_size=4, sampler=sampler, num_workers=workers)
            loader = prepare_data_loader(loader, num_processes=2, process_index=rank, put_on_device=False)
            clock.lead(loader)
            clock.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None)
            ranks.append([batch.tolist() for batch in loader])
        steps = [first + second for first, second in zip(*ranks, strict=True)]
        assert sorted(n for step in steps for n in step) == list(range(40))
        assert all(len({n % 2 for n in step}) == 1 for step in steps[:-1])
        epochs.append(steps)
    assert epochs[0] == epochs[1] != epochs[2], "a run that resumes within an epoch finds its order"


def test_grouping_needs_lengths() -> None:
    from pathplugins.core.errors import PathPluginsError
    from pathplugins.llamafactory.samplers import modality_lengths

    with pytest.raises(PathPluginsError, match="streaming: false"):
        modality_lengths(iter([]))
