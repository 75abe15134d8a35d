"""What our models need of every trainer of LLaMA-Factory: draws that repeat, learning rates, the connector's file."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.arguments import PathModelArguments
from pathplugins.llamafactory.epoch_clock import EpochClock
from pathplugins.llamafactory.packing import PackedCollator, PackedRows
from pathplugins.llamafactory.run_conditions import RunRecord
from pathplugins.llamafactory.samplers import ModalityLengthSampler, modality_lengths
from pathplugins.llamafactory.streams import CheckedStream
from pathplugins.models.compose.projector import PREFIX, save_projector
from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX, save_selector
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.models.learning_rates import by_learning_rate, mark_learning_rates

_ORDERS_OF_TRAINING = {"train_sampling_strategy": "random", "group_by_length": False}
"""Keys by which Transformers 5 and 4 sort the samples of evaluation, too, and what sorts nothing."""


@contextmanager
def _set_aside(args: Any, **usual: Any) -> Iterator[None]:
    """Give options of training these values within the block: the trainer asks them for all its loaders."""
    given = {name: getattr(args, name) for name in usual if hasattr(args, name)}
    vars(args).update({name: usual[name] for name in given})
    try:
        yield
    finally:
        vars(args).update(given)


class OurTraining:
    """Put before a trainer of LLaMA-Factory in the bases of a class, it makes that one for `custom_llava`.

    Args:
        path_args: the run's model arguments, with ours.
        conditions: what the run is made of, for its checkpoints.
        **kwargs: what LLaMA-Factory gives its own trainer.
    """

    parts: ClassVar[Sequence[str]] = ("",)
    """See `pathplugins.llamafactory.stage_table.Stage`."""
    draws_by_text: ClassVar[bool] = True
    """Whether what is drawn of an image depends on the text it stands in; else all texts about it see the same."""

    def __init__(self, *, path_args: PathModelArguments, conditions: Mapping[str, Any], **kwargs: Any) -> None:
        core = core_model(kwargs["model"])
        _check_frozen(core, kwargs["finetuning_args"])
        _freeze_selector(core, kwargs["finetuning_args"])
        if kwargs["args"].accelerator_config.dispatch_batches is None:
            kwargs["args"].accelerator_config.dispatch_batches = False  # streams: packed inputs cannot be cut by sample
        super().__init__(**kwargs)
        self.do_sanity_check = path_args.do_sanity_check
        self._group_by_modality_length = path_args.group_by_modality_length
        if self.args.do_train:  # else nothing is trained that a key could name
            mark_learning_rates(self.model, path_args.lr_mult or {})
        self._clock = EpochClock()
        self.add_callback(self._clock)
        self.add_callback(RunRecord(conditions, self.accelerator))  # the last: it notes what the others have written
        self._training_collator = copy.copy(self.data_collator)
        reader = copy.copy(self.data_collator.processor)
        reader.image_processor = copy.copy(reader.image_processor)
        reader.image_processor.seed = self.args.seed
        reader.sampling_epoch, reader.sampling_by_text = self._clock.epoch, self.draws_by_text
        self._training_collator.processor = reader
        if isinstance(self.train_dataset, CheckedStream):
            reader.sampling_epoch = self.train_dataset.passes
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
            modality_lengths(self.train_dataset, self.parts),
            batch_size=self.args.train_batch_size,
            batches=self.args.world_size * self.args.gradient_accumulation_steps,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        """Return the samples in their order: grouped by length, as in training, answers would meet other questions."""
        with _set_aside(self.args, **_ORDERS_OF_TRAINING):
            return super()._get_eval_sampler(eval_dataset)

    def get_train_dataloader(self) -> Any:
        """Return batches that draw other patches each epoch; evaluation keeps the plain collator, which does not."""
        if not self.args.auto_find_batch_size:
            # Transformers 4.52 takes the checkpoint's: a step in other portions would be of another size, unsaid.
            self._train_batch_size = self.args.train_batch_size
        plain, self.data_collator = self.data_collator, self._training_collator
        try:
            loader = super().get_train_dataloader()
        finally:
            self.data_collator = plain
        self._clock.lead(loader)
        return loader

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Return batches of all samples: ``dataloader_drop_last`` is for training, a loss is of the whole set."""
        with _set_aside(self.args, dataloader_drop_last=False):
            return super().get_eval_dataloader(*args, **kwargs)

    def get_test_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Return batches of all samples, so that each gets its answer."""
        with _set_aside(self.args, dataloader_drop_last=False):
            return super().get_test_dataloader(*args, **kwargs)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Read the optimizer of a checkpoint, on CPUs too.

        Several processes on CPUs have the device ``cpu:0``, which Transformers gives to ``torch.load`` as the place to
        put what is read: it knows ``cpu`` alone.
        """
        several = checkpoint is not None and self.args.device.type == "cpu" and self.args.device.index is not None
        with _set_aside(self.args, **({"_setup_devices": torch.device("cpu")} if several else {})):
            super()._load_optimizer_and_scheduler(checkpoint)

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
        core = core_model(self.model)
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


def core_model(model: Any) -> CustomLlavaForConditionalGeneration:
    """Return our model without what PEFT, a value head or DDP have put around it."""
    return next(part for part in model.modules() if isinstance(part, CustomLlavaForConditionalGeneration))


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
