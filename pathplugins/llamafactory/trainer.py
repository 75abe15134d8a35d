"""Trainer: seeds that repeat, a check of every sample before the first step, evaluation without vision, the connector's file."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
from transformers import TrainerCallback

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.arguments import PathModelArguments, model_settings
from pathplugins.llamafactory.preflight import check_tokenized
from pathplugins.models.checkpoints.projector import PREFIX, save_projector
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration


def with_our_trainer(workflow: ModuleType) -> Callable[..., None]:
    """``run_sft`` with our trainer when the model is ours; any other model trains as it always did."""
    original = workflow.run_sft

    @functools.wraps(original)
    def run_sft(model_args: Any, data_args: Any, training_args: Any, finetuning_args: Any, *rest: Any, **named: Any) -> None:
        ours = isinstance(model_args, PathModelArguments) and model_settings(model_args.model_name_or_path) is not None
        if not ours:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)
        _refuse(model_args, training_args, finetuning_args, data_args)
        stock = workflow.CustomSeq2SeqTrainer
        workflow.CustomSeq2SeqTrainer = functools.partial(PathologyTrainer, path_args=model_args)
        try:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)
        finally:
            workflow.CustomSeq2SeqTrainer = stock

    return run_sft


def _refuse(model_args: PathModelArguments, training_args: Any, finetuning_args: Any, data_args: Any) -> None:
    """Options that would train something else than they say."""
    config = model_settings(model_args.model_name_or_path) or {}
    outside = [name for name in ("use_dft_loss", "use_eaft_loss", "use_asft_loss") if getattr(finetuning_args, name, False)]
    if training_args.label_smoothing_factor:
        outside.append("label_smoothing_factor")
    if config["use_prefix_lm_mask"] and outside:
        raise PathPluginsError(f"use_prefix_lm_mask needs the labels inside the model, which {', '.join(outside)} hides; drop one")
    if data_args.packing or data_args.neat_packing:
        raise PathPluginsError("packing cuts samples anywhere, also between vision tokens; set packing: false")


class EpochClock(TrainerCallback):
    """Tells data workers, through shared memory, which epoch they draw for."""

    def __init__(self) -> None:
        self.epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Before the epoch's iterator, and so its workers, are made; right after a resume as well."""
        self.epoch.fill_(int(state.epoch or 0))


class PathologyTrainer(CustomSeq2SeqTrainer):
    """LLaMA-Factory's trainer for `custom_llava`.

    Args:
        path_args: the run's model arguments, with ours.
        **kwargs: what LLaMA-Factory gives its own trainer.
    """

    def __init__(self, *, path_args: PathModelArguments, **kwargs: Any) -> None:
        check_tokenized(kwargs, kwargs["processor"])
        super().__init__(**kwargs)
        self.do_sanity_check = path_args.do_sanity_check
        clock = EpochClock()
        self.add_callback(clock)
        self._training_collator = copy.copy(self.data_collator)
        reader = copy.copy(self.data_collator.processor)
        reader.image_processor = copy.copy(reader.image_processor)
        reader.image_processor.seed = self.args.seed
        reader.sampling_epoch = clock.epoch
        self._training_collator.processor = reader

    def get_train_dataloader(self) -> Any:
        """Batches that draw other patches each epoch; evaluation keeps the plain collator, which does not."""
        plain, self.data_collator = self.data_collator, self._training_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval", **gen_kwargs: Any
    ) -> dict[str, float]:
        """The usual evaluation; with ``do_sanity_check`` once more with the vision tokens zeroed.

        A sanity loss no higher than the loss says that the answers do not come from the slide.
        """
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **gen_kwargs)
        several = isinstance(eval_dataset if eval_dataset is not None else self.eval_dataset, dict)
        if self.do_sanity_check and not several:
            metrics.update(self._evaluate_blind(eval_dataset, metric_key_prefix))
        return metrics

    def _evaluate_blind(self, eval_dataset: Any, prefix: str) -> dict[str, float]:
        core = next(m for m in self.model.modules() if isinstance(m, CustomLlavaForConditionalGeneration))
        generate, self.args.predict_with_generate = self.args.predict_with_generate, False
        core.ablate_vision = True
        try:
            output = self.evaluation_loop(
                self.get_eval_dataloader(eval_dataset), "Sanity check", prediction_loss_only=True, metric_key_prefix=prefix
            )
        finally:
            core.ablate_vision = False
            self.args.predict_with_generate = generate
        blind = {f"{prefix}_sanity_check_loss": output.metrics[f"{prefix}_loss"]}
        self.log(blind)
        return blind

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        folder = Path(output_dir if output_dir is not None else self.args.output_dir)
        core = next(m for m in self.model.modules() if isinstance(m, CustomLlavaForConditionalGeneration))
        trained = any(p.requires_grad for p in core.multi_modal_projector.parameters())
        state = _projector_state(state_dict if state_dict is not None else self.model.state_dict())
        if trained and not any("lora_" in key for key in state):
            save_projector(state, folder, core.config.projector_config)


def _projector_state(state: dict[str, Any]) -> dict[str, Any]:
    """The connector's weights out of the model's, whatever PEFT has put in front or kept beside them."""
    found = {key.split(PREFIX, 1)[1]: value for key, value in state.items() if PREFIX in key}
    found = {key: value for key, value in found.items() if not key.startswith("original_module.")}
    return {key[len("modules_to_save.default.") :] if key.startswith("modules_to_save.default.") else key: value for key, value in found.items()}
