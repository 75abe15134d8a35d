"""The Trainer of Transformers on labelled pictures: batches, losses and metrics of our own, the rest as it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from transformers import Trainer, TrainingArguments

from pathplugins.classify.batches import StepBatches
from pathplugins.classify.callbacks import EpochOrder
from pathplugins.classify.objectives import objective_of
from pathplugins.classify.optimisers import decayed_names, lars
from pathplugins.classify.pictures import BatchAugment, PatchDataset
from pathplugins.classify.recipes import Recipe
from pathplugins.classify.watching import watched


class PatchTrainer(Trainer):
    """Trains a network of ``networks`` on pictures.

    Args:
        model: the network.
        args: of Transformers.
        recipe: what is minimised.
        train: pictures to learn from.
        valid: pictures to watch; None where nothing is watched.
        classes: number of classes.
        augment: turns the bytes of a batch into normalised numbers.
        use_lars: whether LARS takes the place of ``args.optim``.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        recipe: Recipe,
        train: PatchDataset,
        valid: PatchDataset | None,
        classes: int,
        augment: BatchAugment,
        use_lars: bool = False,
    ) -> None:
        super().__init__(model=model, args=args, train_dataset=train, eval_dataset=valid)
        self.recipe, self.classes, self.use_lars = recipe, classes, use_lars
        self.objective = objective_of(recipe)
        self.augment = augment.to(args.device)
        self.batches = StepBatches(
            len(train),
            batch=args.per_device_train_batch_size,
            accumulation=args.gradient_accumulation_steps,
            rank=args.process_index,
            world=args.world_size,
            seed=args.seed,
        )
        self.model_accepts_loss_kwargs = False  # so that the loss is the mean of the accumulated batches
        self._shown: dict[str, Tensor] = {}
        self._shown_batches = 0
        self.add_callback(EpochOrder(self.batches, train))

    def get_train_dataloader(self) -> DataLoader:
        """Return the batches of this process; the sampler divides them, so that no process needs to skip any."""
        return DataLoader(self.train_dataset, batch_sampler=self.batches, **self._reading())

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Return the names of the weights that decay."""
        return decayed_names(model)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Create LARS, or the optimiser that ``optim`` names."""
        if self.use_lars and self.optimizer is None:
            self.optimizer = lars(
                self.model, learning_rate=self.args.learning_rate, weight_decay=self.args.weight_decay
            )
        return super().create_optimizer(*args, **kwargs)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any
    ) -> Tensor:
        """Return the loss of a batch of `PatchDataset`, and add up what else is shown."""
        loss, shown = self.objective(model, *self._prepared(inputs))
        for name, value in shown.items():
            self._shown[name] = self._shown.get(name, 0) + value
        self._shown_batches += 1
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, and with the loss of the training also the means of what else was shown since the last one."""
        if "loss" in logs and self._shown:
            for name, total in self._shown.items():
                mean = self.accelerator.reduce(total / self._shown_batches, reduction="mean")
                logs[name] = float(mean)
            self._shown, self._shown_batches = {}, 0
        super().log(logs, *args, **kwargs)

    def evaluate(
        self, eval_dataset: PatchDataset | None = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return metrics of all pictures of a data set, each seen once by one of the processes."""
        pictures = self.eval_dataset if eval_dataset is None else eval_dataset
        mine = Subset(pictures, range(self.args.process_index, len(pictures), self.args.world_size))
        loader = DataLoader(mine, batch_size=self.args.per_device_eval_batch_size, **self._reading())
        found = watched(
            self.accelerator.unwrap_model(self.model),
            (self._prepared(self._prepare_inputs(batch)) for batch in loader),
            task=self.recipe.task,
            classes=self.classes,
            device=self.args.device,
        )
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _prepared(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return normalised pixels and labels of a batch on the device, in float32 also under mixed precision."""
        pixels, draws, labels = inputs["pixels"], inputs["draws"], inputs["labels"]
        with torch.autocast(pixels.device.type, enabled=False):
            if self.recipe.task == "masks":
                labels = self.augment.masks(labels, draws)
            return self.augment(pixels, draws), labels.long()

    def _reading(self) -> dict[str, Any]:
        workers = self.args.dataloader_num_workers
        more = {"persistent_workers": self.args.dataloader_persistent_workers} if workers else {}
        pin = self.args.dataloader_pin_memory and self.args.device.type == "cuda"
        return {"num_workers": workers, "pin_memory": pin, **more}
