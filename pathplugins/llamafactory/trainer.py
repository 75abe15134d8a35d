"""LLaMA-Factory's trainer for our models: draws that repeat, evaluation without vision, the connector's file."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
from transformers import TrainerCallback

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.arguments import PathModelArguments
from pathplugins.llamafactory.packing import PackedCollator, PackedRows
from pathplugins.llamafactory.samplers import ModalityLengthSampler, modality_lengths
from pathplugins.models.compose.projector import PREFIX, save_projector
from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX, save_selector
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.models.learning_rates import by_learning_rate, mark_learning_rates


@contextmanager
def _keeping_the_last_batch(args: Any) -> Iterator[None]:
    """Switch ``dataloader_drop_last`` off within the block: the trainer asks the same key for all its loaders."""
    dropped, args.dataloader_drop_last = args.dataloader_drop_last, False
    try:
        yield
    finally:
        args.dataloader_drop_last = dropped


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


class PathologyTrainer(CustomSeq2SeqTrainer):
    """LLaMA-Factory's trainer for `custom_llava`.

    Args:
        path_args: the run's model arguments, with ours.
        **kwargs: what LLaMA-Factory gives its own trainer.
    """

    def __init__(self, *, path_args: PathModelArguments, **kwargs: Any) -> None:
        _check_frozen(kwargs["model"], kwargs["finetuning_args"])
        _freeze_selector(kwargs["model"], kwargs["finetuning_args"])
        super().__init__(**kwargs)
        self.do_sanity_check = path_args.do_sanity_check
        self._group_by_modality_length = path_args.group_by_modality_length
        mark_learning_rates(self.model, path_args.lr_mult or {})
        self._clock = EpochClock()
        self.add_callback(self._clock)
        self._training_collator = copy.copy(self.data_collator)
        reader = copy.copy(self.data_collator.processor)
        reader.image_processor = copy.copy(reader.image_processor)
        reader.image_processor.seed = self.args.seed
        reader.sampling_epoch = self._clock.epoch
        self._training_collator.processor = reader
        if isinstance(self.train_dataset, PackedRows):
            self._training_collator = PackedCollator(self._training_collator)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Return the usual optimizer, its groups divided by the learning rates of ``lr_mult``."""
        made = self.optimizer is not None
        optimizer = super().create_optimizer(*args, **kwargs)
        groups = [] if made else [group for group in optimizer.param_groups if group["params"]]
        for group in groups:
            first, *others = by_learning_rate(group["params"], group["lr"])
            group.update(first)
            for other in others:
                optimizer.add_param_group({**group, **other})
        return optimizer

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Return the usual sampler, or the one of ``group_by_modality_length``."""
        if not self._group_by_modality_length:
            return super()._get_train_sampler(*args, **kwargs)
        return ModalityLengthSampler(
            modality_lengths(self.train_dataset),
            batch_size=self.args.train_batch_size,
            batches=self.args.world_size * self.args.gradient_accumulation_steps,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
        )

    def get_train_dataloader(self) -> Any:
        """Return batches that draw other patches each epoch; evaluation keeps the plain collator, which does not."""
        plain, self.data_collator = self.data_collator, self._training_collator
        try:
            loader = super().get_train_dataloader()
        finally:
            self.data_collator = plain
        self._clock.lead(loader)
        return loader

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Return batches of all samples: ``dataloader_drop_last`` is for training, a loss is of the whole set."""
        with _keeping_the_last_batch(self.args):
            return super().get_eval_dataloader(*args, **kwargs)

    def get_test_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Return batches of all samples, so that each gets its answer."""
        with _keeping_the_last_batch(self.args):
            return super().get_test_dataloader(*args, **kwargs)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval", **gen_kwargs: Any
    ) -> dict[str, float]:
        """Evaluate as usual; with ``do_sanity_check`` once more with the vision tokens zeroed.

        A sanity loss no higher than the loss says that the answers do not come from the slide.
        """
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **gen_kwargs)
        several = isinstance(eval_dataset if eval_dataset is not None else self.eval_dataset, dict)
        if self.do_sanity_check and not several:
            metrics.update(self._evaluate_blind(eval_dataset, metric_key_prefix))
        return metrics

    def _evaluate_blind(self, eval_dataset: Any, prefix: str) -> dict[str, float]:
        """Return the metrics without vision, by the same loop: the loss, or what ``predict_with_generate`` measures."""
        core = next(m for m in self.model.modules() if isinstance(m, CustomLlavaForConditionalGeneration))
        core.ablate_vision = True
        try:
            output = self.evaluation_loop(
                self.get_eval_dataloader(eval_dataset),
                "Sanity check",
                prediction_loss_only=True if self.compute_metrics is None else None,
                metric_key_prefix=f"{prefix}_sanity_check",
            )
        finally:
            core.ablate_vision = False
        self.log(output.metrics)
        return output.metrics

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save, and let no rank continue before it is done.

        Right after, Transformers lets each rank see for itself whether the best checkpoint's folder exists. A rank that
        looks before rank 0 has made it believes there is no best model, and the run hangs at its end waiting for it.
        """
        super().save_model(output_dir, _internal_call)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        folder = Path(output_dir if output_dir is not None else self.args.output_dir)
        core = next(m for m in self.model.modules() if isinstance(m, CustomLlavaForConditionalGeneration))
        whole = state_dict if state_dict is not None else self.model.state_dict()
        save_connector = partial(save_projector, config=core.config.projector_config)
        for part, prefix, save in (
            (core.multi_modal_projector, PREFIX, save_connector),
            (core.token_selector, SELECTOR_PREFIX, save_selector),
        ):
            state = _part_state(whole, prefix)  # none of ZeRO-3 that does not gather
            trained = any(p.requires_grad for p in part.parameters())
            if trained and state and not any("lora_" in key for key in state):
                save(state, folder)


def _check_frozen(model: Any, finetuning_args: Any) -> None:
    """Raise when weights of a frozen part would be trained: LLaMA-Factory freezes by substrings of names."""
    parts = {
        "freeze_vision_tower": "vision_tower.",
        "freeze_multi_modal_projector": "multi_modal_projector.",
        "freeze_language_model": ("model.", "lm_head."),
    }
    for key, prefix in parts.items() if finetuning_args.finetuning_type == "full" else ():
        names = [name for name, p in model.named_parameters() if p.requires_grad and name.startswith(prefix)]
        if getattr(finetuning_args, key) and names:
            raise PathPluginsError(
                f"{key} is true but {len(names)} weights would be trained, first {names[0]}; please report this model"
            )


def _freeze_selector(model: Any, finetuning_args: Any) -> None:
    """Freeze the selector with the connector, as in XTuner; no list of LLaMA-Factory names it."""
    if finetuning_args.finetuning_type == "full" and finetuning_args.freeze_multi_modal_projector:
        model.token_selector.requires_grad_(False)


def _part_state(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the weights of a part, without what PEFT has put in front or kept beside them."""
    found = {key.split(prefix, 1)[1]: value for key, value in state.items() if prefix in key}
    found = {key: value for key, value in found.items() if not key.startswith("original_module.")}
    return {
        key[len("modules_to_save.default.") :] if key.startswith("modules_to_save.default.") else key: value
        for key, value in found.items()
    }
