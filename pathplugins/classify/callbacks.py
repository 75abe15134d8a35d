"""What happens between the steps of a training: the order of an epoch, BYOL's target, curves for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pathplugins.classify.batches import StepBatches
from pathplugins.classify.networks.byol import target_momentum
from pathplugins.classify.pictures import PatchDataset
from pathplugins.core.optional import need


class EpochOrder(TrainerCallback):
    """Gives each epoch its own order and draws; after a resume too, where the Trainer tells no data loader."""

    def __init__(self, batches: StepBatches, pictures: PatchDataset) -> None:
        self._batches, self._pictures = batches, pictures

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the epoch that the steps so far make up."""
        self._batches.epoch = state.global_step // self._batches.steps
        self._pictures.set_epoch(self._batches.epoch)


class MoveTarget(TrainerCallback):
    """Moves BYOL's target network after each optimiser step."""

    def __init__(self, start: float) -> None:
        self._start = start

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Move it by the momentum of this step of all."""
        model.move_target(target_momentum(state.global_step, state.max_steps, self._start))


class Curves(TrainerCallback):
    """Writes what is logged to TensorBoard's files; those of the Trainer go to other places in each of its versions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the files; steps that a resumed run repeats replace those written before."""
        writer = need("torch.utils.tensorboard", extra="patchtcga").SummaryWriter
        self._writer = writer(str(self._folder), purge_step=state.global_step + 1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write numbers, those of the training and of the watched part in two groups."""
        for name, value in (logs or {}).items():
            part, _, rest = name.partition("_")
            tag = f"{part}/{rest}" if part in ("valid", "test", "eval") else f"train/{name}"
            if self._writer is not None and isinstance(value, int | float):
                self._writer.add_scalar(tag, value, state.global_step)

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
