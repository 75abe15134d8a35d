"""Supervised training: use our trainer for our models, and refuse options that are incompatible with them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.versions import untested
from pathplugins.llamafactory.arguments import PathModelArguments
from pathplugins.llamafactory.model_directory import model_settings
from pathplugins.llamafactory.packing import refuse_packing, without_packing

logger = logging.getLogger(__name__)


def with_our_trainer(workflow: ModuleType) -> Callable[..., None]:
    """Return ``run_sft`` with our trainer when the model is ours; any other model trains as it always did."""
    original = workflow.run_sft

    def run_sft(
        model_args: Any, data_args: Any, training_args: Any, finetuning_args: Any, *rest: Any, **named: Any
    ) -> None:
        ours = isinstance(model_args, PathModelArguments) and model_settings(model_args.model_name_or_path) is not None
        if not ours:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)
        _refuse(model_args, training_args, finetuning_args, data_args)
        for version in untested("llamafactory", "transformers") if training_args.should_log else ():
            logger.warning("%s; `pathplugins doctor` checks every symbol that is leaned on", version)
        from pathplugins.llamafactory.preflight import checked_datasets
        from pathplugins.llamafactory.trainer import PathologyTrainer  # a run of another model never loads it

        row_tokens = None
        if data_args.neat_packing:
            data_args = without_packing(model_args, data_args)
            row_tokens = data_args.cutoff_len
        stock = {name: getattr(workflow, name) for name in ("CustomSeq2SeqTrainer", "get_dataset")}
        workflow.CustomSeq2SeqTrainer = functools.partial(PathologyTrainer, path_args=model_args)
        workflow.get_dataset = checked_datasets(workflow.get_dataset, finetuning_args, row_tokens)
        try:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)
        finally:
            vars(workflow).update(stock)

    return run_sft


def _refuse(model_args: PathModelArguments, training_args: Any, finetuning_args: Any, data_args: Any) -> None:
    """Refuse options that are incompatible with these models."""
    config = model_settings(model_args.model_name_or_path) or {}
    outside = [
        name for name in ("use_dft_loss", "use_eaft_loss", "use_asft_loss") if getattr(finetuning_args, name, False)
    ]
    if training_args.label_smoothing_factor:
        outside.append("label_smoothing_factor")
    if config["use_prefix_lm_mask"] and outside:
        raise PathPluginsError(
            f"use_prefix_lm_mask needs the labels inside the model, which {', '.join(outside)} hides; drop one"
        )
    if model_args.group_by_modality_length and finetuning_args.disable_shuffling:
        raise PathPluginsError("group_by_modality_length shuffles and disable_shuffling does not; drop one")
    refuse_packing(model_args, data_args, outside)
