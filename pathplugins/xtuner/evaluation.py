"""Loss of held-out samples while a model trains, and once more without vision."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from xtuner.registry import BUILDER

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.configs import dataset_configs
from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.resume import unwrapped

HOOK = "EvaluationHook"


def held_out(cfg: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a data set in the words of the training data of ``cfg``, of which it says what differs."""
    trained = dict(dataset_configs(cfg)[0])
    for name in ("offline_processed_text_folder", "max_dataset_length"):
        trained.pop(name, None)
    options = {**(trained.get("format_options") or {}), **(named.get("format_options") or {})}
    folder = named.get("image_folder") or trained.get("image_folder")
    return {**trained, "data_path": named["data_path"], "image_folder": folder, "format_options": options}


class EvaluationHook(Hook):
    """Log ``eval_loss``, and ``eval_sanity_check_loss`` of the same samples with the vision tokens zeroed.

    A sanity loss no higher than the loss says that the answers do not come from the image. The same patches of an image
    are drawn each time.

    Args:
        data_path: held-out samples, as in the dataset of the config; None evaluates nothing.
        every_n_iters: how often; it is evaluated after the last step in any case. None: only then.
        do_sanity_check: evaluate once more without vision.
        batch_size: samples of a batch on one process.
        image_folder: as in the dataset of the config, from where it is taken by default.
        format_options: likewise; what stands here goes before what stands there.
    """

    priority = "LOW"

    @options_of(HOOK)
    def __init__(
        self,
        data_path: str | Sequence[str] | None = None,
        *,
        every_n_iters: int | None = None,
        do_sanity_check: bool = True,
        batch_size: int = 1,
        image_folder: str | None = None,
        format_options: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise PathPluginsError(f"{HOOK}: batch_size is {batch_size}, wanted 1 or more; correct the config")
        self.data_path, self.every_n_iters, self.do_sanity_check = data_path, every_n_iters, do_sanity_check
        self.batch_size = batch_size
        self._named = {"image_folder": image_folder, "format_options": format_options}
        self.dataset: Any = None
        self._model: Any = None
        self._done = -1

    def before_run(self, runner: Any) -> None:
        """Read and check the samples, in the words of the training data."""
        if self.data_path is None:
            return
        config = held_out(runner.cfg, {"data_path": self.data_path, **self._named})
        self.dataset, self._model = BUILDER.build(config), config["model"]

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Evaluate every ``every_n_iters`` iterations."""
        if self.every_n_iters is not None and self.every_n_train_iters(runner, self.every_n_iters):
            self._evaluate(runner, runner.iter + 1)

    def after_train(self, runner: Any) -> None:
        """Evaluate after the last step."""
        if self._done != runner.iter:
            self._evaluate(runner, runner.iter)

    def _evaluate(self, runner: Any, step: int) -> None:
        if self.dataset is None:
            return
        self._done = step
        model = unwrapped(runner.model)
        core = next(part for part in model.modules() if isinstance(part, CustomLlavaForConditionalGeneration))
        training = model.training
        model.eval()
        try:
            found = {"eval_loss": self._loss(runner)}
            if self.do_sanity_check:
                core.ablate_vision = True
                found["eval_sanity_check_loss"] = self._loss(runner)
        finally:
            core.ablate_vision = False
            model.train(training)
        said = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        runner.logger.info(f"Evaluation of {len(self.dataset)} samples after iteration {step}: {said}")
        runner.visualizer.add_scalars(found, step=step)

    @torch.no_grad()
    def _loss(self, runner: Any) -> float:
        """Return the mean over the samples of the loss of their batches; every process takes its share of these."""
        model, rank, world = unwrapped(runner.model), get_rank(), get_world_size()
        starts = range(0, len(self.dataset), self.batch_size)
        device = next(model.parameters()).device
        # DeepSpeed casts by itself, and MMEngine's wrapper around it cannot be called
        forward = runner.model if callable(runner.model) else runner.model.model
        precision = getattr(runner.optim_wrapper, "optim_context", contextlib.nullcontext)
        total = torch.zeros(2, dtype=torch.float64, device=device)  # of losses, of samples
        for first in range(0, len(starts), world):
            counts = first + rank < len(starts)  # else a batch that does not: each process has to run the model
            start = starts[first + rank] if counts else 0
            rows = range(start, min(start + self.batch_size, len(self.dataset)))
            batch = model.data_preprocessor(collate([self.dataset[row] for row in rows], model=self._model), False)
            with precision(runner.model):
                loss = forward(**batch, mode="loss")["loss"].double()
            if counts:
                total += torch.stack([loss * len(rows), torch.full_like(loss, len(rows))])
        all_reduce(total)
        return float(total[0] / total[1])
