"""Train a patch encoder by a recipe, from checked data to a run directory."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import TrainingArguments, set_seed

from pathplugins.classify.callbacks import Curves, MoveTarget
from pathplugins.classify.checkpoints import is_finished, last_checkpoint, prepare_output, read_as_cpu
from pathplugins.classify.networks.build import build_network
from pathplugins.classify.networks.encoder import Encoder, build_encoder
from pathplugins.classify.optimisers import scaled_rate
from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.parts import Parts, read_parts
from pathplugins.classify.pictures import SEGMENT, SELF_SUPERVISED, SUPERVISED, BatchAugment, PatchDataset
from pathplugins.classify.pictures.check import check_headers
from pathplugins.classify.recipes import RECIPES
from pathplugins.classify.runs import RECORD, slides_of, write_run
from pathplugins.classify.settings import Settings
from pathplugins.classify.trainer import PatchTrainer
from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.data.patch_sets import PatchSet

log = logging.getLogger(__name__)


def train(settings: Settings) -> dict[str, Any]:
    """Train by ``settings``, or go on where a former process was stopped, and return the record of the run.

    Every process of torchrun calls this; the first one writes.

    Raises:
        PathPluginsError: options, data, encoder or output directory that cannot be used; nothing was trained.
    """
    options = settings.options
    args = training_arguments(settings)
    parts = read_parts(options)
    if args.eval_strategy != "no" and parts.valid is None:
        raise PathPluginsError(f"eval_strategy {args.eval_strategy.value}: {options.data} has no valid part; set split")
    seen = slides_of(Path(options.encoder))
    parts.warn_of_seen(seen, options.encoder)
    set_seed(args.seed)
    encoder = build_encoder(options)
    options = _at_one_scale(options, encoder)
    network = build_network(options, encoder, len(parts.whole.classes))
    trainer = _trainer(options, args, parts, encoder, network)
    pictures = {name: _watched(part, encoder, options) for name, part in parts.named().items() if name != "train"}
    finished, checkpoint = _agreed(settings, args, parts, trainer, [*pictures.values()])
    out = Path(args.output_dir)
    if finished:
        log.info("%s is trained already; remove it or name another output_dir to train anew", out)
        return read_json(out / RECORD)
    curves = Curves(out / "logs") if "tensorboard" in settings.training.get("report_to", ()) else None
    if curves is not None and args.process_index == 0:
        trainer.add_callback(curves)
    log.info("%s", _plan(options, args, parts, trainer, checkpoint))
    trainer.train(resume_from_checkpoint=checkpoint)
    record = _record(options, args, parts, trainer, pictures)
    if args.process_index == 0:
        if curves is not None:
            curves.close()
        trainer.state.save_to_json(str(out / "trainer_state.json"))
        write_run(
            *(out, network, encoder, options),
            classes=parts.whole.classes,
            names=parts.train.names,
            slides=[*parts.train.groups, *seen],
            record=record,
        )
    trainer.accelerator.wait_for_everyone()
    return {**record, **(read_json(out / RECORD) if args.process_index == 0 else {})}


def training_arguments(settings: Settings) -> TrainingArguments:
    """Return the arguments of Transformers' Trainer; the processes of torchrun meet here.

    Raises:
        PathPluginsError: values that it refuses, or several GPUs without torchrun.
    """
    given = dict(settings.training)
    if "tensorboard" in given["report_to"]:  # written by us, to the same place under every version
        given["report_to"] = [name for name in _names(given["report_to"]) if name != "tensorboard"] or "none"
    if not torch.cuda.is_available():
        given |= {"use_cpu": True, "dataloader_pin_memory": False}
        given |= {"ddp_backend": "gloo"} if int(os.environ.get("WORLD_SIZE", "1")) > 1 else {}
    # a mask decoder reads maps, and leaves the last layers of some encoders unused
    given.setdefault("ddp_find_unused_parameters", settings.options.recipe == "segment")
    try:
        args = TrainingArguments(**given)
        count = args.n_gpu
    except (ValueError, TypeError, ImportError) as error:
        raise PathPluginsError(f"options of TrainingArguments: {' '.join(str(error).split())}") from error
    if args.device.type == "cpu":
        read_as_cpu()
    if count > 1:
        raise PathPluginsError(
            f"{count} GPUs and one process: start with `torchrun --nproc_per_node {count} -m pathplugins.cli classify "
            "train ...`, or show it one GPU with CUDA_VISIBLE_DEVICES=0"
        )
    return args


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _at_one_scale(options: ClassifyArguments, encoder: Encoder) -> ClassifyArguments:
    """Return options whose masks are trained and scored at one scale: windows of the encoder's size, not scaled."""
    if RECIPES[options.recipe].task != "masks" or options.centre_px is not None:
        return options
    return dataclasses.replace(options, centre_px=encoder.preprocess.crop_px)


def _trainer(
    options: ClassifyArguments, args: TrainingArguments, parts: Parts, encoder: Encoder, network: torch.nn.Module
) -> PatchTrainer:
    recipe = RECIPES[options.recipe]
    strong = SEGMENT if recipe.task == "masks" else SELF_SUPERVISED if recipe.self_supervised else SUPERVISED
    size = encoder.preprocess.crop_px
    learn = PatchDataset(parts.train, size=size, augment=strong, seed=args.seed, views=recipe.views)
    watch = None if parts.valid is None else _watched(parts.valid, encoder, options)
    if args.world_size > 1 and args.device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    elif args.world_size > 1 and args.process_index == 0 and _has_batch_norms(network):
        log.info("batch norms are those of each process alone: PyTorch synchronises them on GPUs only")
    trainer = PatchTrainer(
        network,
        args,
        recipe=recipe,
        train=learn,
        valid=watch,
        classes=len(parts.whole.classes),
        augment=BatchAugment(mean=encoder.preprocess.mean, std=encoder.preprocess.std),
        use_lars=options.lars,
    )
    args.learning_rate = scaled_rate(args.learning_rate, trainer.batches.pictures, options.scale_learning_rate)
    if options.warmup_epochs:
        args.warmup_steps = round(options.warmup_epochs * trainer.batches.steps)
    if recipe.self_supervised:
        trainer.add_callback(MoveTarget(options.target_momentum))
    return trainer


def _watched(part: PatchSet, encoder: Encoder, options: ClassifyArguments) -> PatchDataset:
    """Return pictures that are scored: without draws."""
    return PatchDataset(part, size=encoder.preprocess.crop_px, centre_px=options.centre_px)


def _has_batch_norms(network: torch.nn.Module) -> bool:
    return any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _agreed(
    settings: Settings, args: TrainingArguments, parts: Parts, trainer: PatchTrainer, watched: list[PatchDataset]
) -> tuple[bool, str | None]:
    """Return whether the run is finished, and the checkpoint to go on from; the first process looks, all hear.

    Raises:
        PathPluginsError: the output directory is another run's, or pictures cannot be used; in every process.
    """
    found: list[Any] = [False, None, None]
    if args.process_index == 0:
        out = Path(args.output_dir)
        decisive = {
            **dataclasses.asdict(settings.options),
            **settings.training,
            "pictures_per_step": trainer.batches.pictures,
            "data_fingerprint": parts.fingerprint(),
        }
        try:
            prepare_output(out, decisive)
            if not is_finished(out):
                check_headers(trainer.train_dataset, *watched)
            checkpoint = last_checkpoint(out, args.world_size)
            found = [is_finished(out), None if checkpoint is None else str(checkpoint), None]
        except PathPluginsError as error:
            found[2] = error
    if args.world_size > 1:
        broadcast_object_list(found)
    if found[2] is not None:
        raise found[2]
    return found[0], found[1]


def _plan(
    options: ClassifyArguments, args: TrainingArguments, parts: Parts, trainer: PatchTrainer, checkpoint: str | None
) -> str:
    sizes = ", ".join(f"{name} {len(part)}" for name, part in parts.named().items())
    return (
        f"{options.recipe} on {options.data}: {sizes} pictures, {counted(len(parts.whole.classes), 'class')}; "
        f"{counted(trainer.batches.steps, 'step')} of {counted(trainer.batches.pictures, 'picture')} an epoch, "
        f"learning rate {args.learning_rate:g}{f'; resumes {checkpoint}' if checkpoint else ''}"
    )


def _record(
    options: ClassifyArguments,
    args: TrainingArguments,
    parts: Parts,
    trainer: PatchTrainer,
    watched: Mapping[str, PatchDataset],
) -> dict[str, Any]:
    """Score the parts that were not trained on, and return what ``classify.json`` says of the training."""
    scores = {}
    for name, pictures in watched.items():
        found = trainer.evaluate(pictures, metric_key_prefix=name)
        scores[name] = {key.removeprefix(f"{name}_"): value for key, value in found.items() if key != "epoch"}
    return {
        "data": options.data,
        "kind": parts.whole.kind,
        "split": options.split,
        "fold": options.fold if options.split else None,
        "pictures": {name: len(part) for name, part in parts.named().items()},
        "data_fingerprint": parts.fingerprint(),
        "steps": trainer.state.global_step,
        "pictures_per_step": trainer.batches.pictures,
        "learning_rate": args.learning_rate,
        "scores": scores,
    }
