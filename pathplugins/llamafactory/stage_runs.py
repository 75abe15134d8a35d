"""One run of a stage: our trainer and our checks in the place of LLaMA-Factory's, for our models."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pathplugins.core.disks import refusals_in_words
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.versions import untested
from pathplugins.llamafactory.arguments import PathModelArguments
from pathplugins.llamafactory.checkpoints import refuse_without_optimizer, resume_point
from pathplugins.llamafactory.model_directory import model_settings
from pathplugins.llamafactory.packing import refuse_packing, without_packing
from pathplugins.llamafactory.rates import check_rates
from pathplugins.llamafactory.run_conditions import check_same_run, run_conditions
from pathplugins.llamafactory.stage_table import STAGES, check_stage
from pathplugins.models.compose.fresh_tower import refuse_frozen

logger = logging.getLogger(__name__)


def with_our_trainer(workflow: ModuleType, stage: str = "sft") -> Callable[..., None]:
    """Return ``run_<stage>`` with our trainer when the model is ours; any other model trains as it always did."""
    original = getattr(workflow, f"run_{stage}")

    def run(
        model_args: Any, data_args: Any, training_args: Any, finetuning_args: Any, *rest: Any, **named: Any
    ) -> None:
        ours = isinstance(model_args, PathModelArguments)
        settings = model_settings(model_args.model_name_or_path) if ours else None
        if settings is None:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)
        for _, check in checks(stage, model_args, data_args, training_args, finetuning_args):
            check()
        for version in untested("llamafactory", "transformers") if training_args.should_log else ():
            logger.warning("%s; `pathplugins doctor` checks every symbol that is leaned on", version)
        with in_a_run_of_ours(workflow, stage, model_args, data_args, training_args, finetuning_args) as data_args:
            return original(model_args, data_args, training_args, finetuning_args, *rest, **named)

    return run


def checks(
    stage: str, model_args: PathModelArguments, data_args: Any, training_args: Any, finetuning_args: Any
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what is looked at before any data are: its name for people, and what raises `PathPluginsError`."""
    settings = model_settings(model_args.model_name_or_path)
    values = {**vars(model_args), "use_prefix_lm_mask": settings["use_prefix_lm_mask"]}
    yield "stage", lambda: check_stage(stage, values)
    yield "options", lambda: _refuse(settings, model_args, training_args, finetuning_args, data_args)
    if training_args.do_train:
        yield "learning rates", lambda: check_rates(model_args, finetuning_args)
        yield "checkpoint", lambda: _choose_checkpoint(training_args)


@contextmanager
def in_a_run_of_ours(
    workflow: ModuleType,
    stage: str,
    model_args: PathModelArguments,
    data_args: Any,
    training_args: Any,
    finetuning_args: Any,
    *,
    uncompared: Sequence[str] = (),
) -> Iterator[Any]:
    """Let ``run_<stage>`` find our trainer and our data sets within the block, and give the ``data_args`` for it.

    ``uncompared`` are conditions in which a resumed run may differ.
    """
    from pathplugins.llamafactory.preflight import checked_datasets
    from pathplugins.llamafactory.streams import with_streams_checked
    from pathplugins.llamafactory.trainers import TRAINERS  # a run of another model never loads them

    row_tokens = None
    if data_args.neat_packing:
        data_args = without_packing(model_args, data_args)
        row_tokens = data_args.cutoff_len
    parts = STAGES[stage].parts
    checked = with_streams_checked(checked_datasets(workflow.get_dataset, finetuning_args, row_tokens, parts), parts)
    conditions: dict[str, Any] = {}
    judge = functools.partial(run_conditions, model_args, training_args, finetuning_args, parts=parts)
    replaced = {
        STAGES[stage].trainer: functools.partial(TRAINERS.get(stage), path_args=model_args, conditions=conditions),
        "get_dataset": _of_the_same_run(checked, training_args, judge, conditions, uncompared),
    }
    output = Path(training_args.output_dir) if training_args.should_save else None
    with refusals_in_words(output), in_the_place_of_theirs(workflow, replaced):
        yield data_args


def _of_the_same_run(
    get_dataset: Callable[..., dict[str, Any]],
    training_args: Any,
    judge: Callable[..., dict[str, Any]],
    conditions: dict[str, Any],
    uncompared: Sequence[str],
) -> Callable[..., dict[str, Any]]:
    """Return ``get_dataset``, which then fills ``conditions`` and compares them with those of the resumed run."""

    def get_compared(*args: Any, **named: Any) -> dict[str, Any]:
        found = get_dataset(*args, **named)
        if training_args.do_train:
            conditions.update(judge(samples=found.get("train_dataset")))
            if training_args.resume_from_checkpoint is not None:
                compared = {name: value for name, value in conditions.items() if name not in uncompared}
                check_same_run(Path(training_args.resume_from_checkpoint), compared, training_args)
        return found

    return get_compared


def _choose_checkpoint(training_args: Any) -> None:
    """Let a run that is to go on do so from a whole checkpoint, before anything is loaded."""
    if training_args.do_train and training_args.resume_from_checkpoint is not None:
        chosen = resume_point(training_args.resume_from_checkpoint, training_args.output_dir)
        training_args.resume_from_checkpoint = chosen
        if chosen is not None:
            refuse_without_optimizer(Path(chosen))


@contextmanager
def in_the_place_of_theirs(workflow: ModuleType, ours: dict[str, Any]) -> Iterator[None]:
    """Let the workflow find ours under these names within the block; one that it imports as it runs, in that module."""
    places = {
        name: workflow if hasattr(workflow, name) else importlib.import_module(f"{workflow.__package__}.trainer")
        for name in ours
    }
    stock = {name: getattr(place, name) for name, place in places.items()}
    for name, place in places.items():
        setattr(place, name, ours[name])
    try:
        yield
    finally:
        for name, place in places.items():
            setattr(place, name, stock[name])


def _refuse(
    settings: dict[str, Any], model_args: PathModelArguments, training_args: Any, finetuning_args: Any, data_args: Any
) -> None:
    """Refuse options of LLaMA-Factory that are incompatible with these models."""
    from pathplugins.llamafactory.streams import refuse_streaming

    if getattr(model_args, "rope_scaling", None) is not None:
        raise PathPluginsError(
            f"rope_scaling: {model_args.rope_scaling} would have no effect, as LLaMA-Factory sets it where a language "
            "model stands alone; remove the key and write rope_scaling into the config.json of the language model, as "
            "its authors describe (docs/features.md)"
        )
    _refuse_noise(model_args, training_args, finetuning_args)
    outside = [
        name for name in ("use_dft_loss", "use_eaft_loss", "use_asft_loss") if getattr(finetuning_args, name, False)
    ]
    if training_args.label_smoothing_factor:
        outside.append("label_smoothing_factor")
    if settings["use_prefix_lm_mask"] and outside:
        raise PathPluginsError(
            f"use_prefix_lm_mask needs the labels inside the model, which {', '.join(outside)} hides; drop one"
        )
    if model_args.group_by_modality_length and finetuning_args.disable_shuffling:
        raise PathPluginsError("group_by_modality_length shuffles and disable_shuffling does not; drop one")
    refuse_packing(model_args, data_args, outside)
    refuse_streaming(data_args, training_args)


def _refuse_noise(model_args: PathModelArguments, training_args: Any, finetuning_args: Any) -> None:
    """Refuse to train behind a tower that starts from random weights and keeps them."""
    tower = getattr(model_args, "fresh_tower", None)
    if tower is None or not training_args.do_train:
        return
    reached = finetuning_args.finetuning_type != "lora" or "vision_tower" in (finetuning_args.additional_target or ())
    how = "" if reached else " and additional_target: multi_modal_projector,vision_tower"
    frozen = finetuning_args.freeze_vision_tower or not reached
    refuse_frozen(tower, frozen=frozen, how=f"set freeze_vision_tower: false{how}")
