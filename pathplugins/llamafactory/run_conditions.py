"""What a run is made of: noted in each checkpoint, and compared before a run goes on from one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.core.resume_record import differences, read, sentence, write
from pathplugins.llamafactory.checkpoints import sizes
from pathplugins.llamafactory.packing import PackedRows

logger = logging.getLogger(__name__)

_TRAINING = (
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio", "weight_decay"),
    *("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "seed", "data_seed"),
    *("dataloader_drop_last", "group_by_length", "train_sampling_strategy", "bf16", "fp16", "ignore_data_skip"),
    *("label_smoothing_factor", "neftune_noise_alpha"),
)
"""Of the trainer's arguments: the optimizer keeps most of them, so that a new value would not be obeyed; the order of
the samples and the precision follow the others."""
_NOT_OF_THE_RUN = ("plot_loss", "early_stopping_steps", "compute_accuracy", "include_effective_tokens_per_second")
"""Of the arguments about tuning: what only reports. ``swanlab_*`` likewise."""
_MODEL = (
    *("quantization_bit", "quantization_method", "quantization_type", "double_quantization", "upcast_layernorm"),
    *("upcast_lmhead_output", "rope_scaling", "shift_attn", "resize_vocab", "add_tokens", "add_special_tokens"),
    *("lr_mult", "group_by_modality_length"),
)
_SAMPLED_BYTES = 2**20


def run_conditions(
    model_args: Any, training_args: Any, finetuning_args: Any, samples: Any, parts: Sequence[str]
) -> dict[str, Any]:
    """Return the conditions of a run: name -> value that JSON can hold.

    Args:
        model_args: LLaMA-Factory's arguments about the model, with ours.
        training_args: about training.
        finetuning_args: about tuning, LoRA and the losses of the stages.
        samples: the tokenized training samples.
        parts: what stands before ``input_ids`` for each text of a sample.
    """
    tuning = {item.name: getattr(finetuning_args, item.name, None) for item in dataclasses.fields(finetuning_args)}
    tuning = {name: value for name, value in tuning.items() if name not in _NOT_OF_THE_RUN and "swanlab" not in name}
    step = training_args.train_batch_size * training_args.world_size * training_args.gradient_accumulation_steps
    found: dict[str, Any] = {
        "samples of a step": step,
        "training samples": len(samples) if hasattr(samples, "__len__") else None,
        "content and order of the training samples": samples_digest(samples, parts),
        "neat_packing": isinstance(samples, PackedRows),
        "the model's weights and options": model_digest(Path(model_args.model_name_or_path)),
        **{name: getattr(training_args, name, None) for name in _TRAINING},
        **{name: getattr(model_args, name, None) for name in _MODEL},
        **tuning,
    }
    if model_args.group_by_modality_length:
        found["per_device_train_batch_size"] = training_args.train_batch_size
    if training_args.deepspeed:
        found["processes"] = training_args.world_size  # each has written its share of the optimizer
    return json.loads(json.dumps(found, default=str, sort_keys=True))


def check_same_run(checkpoint: Path, conditions: Mapping[str, Any], training_args: Any) -> None:
    """Raise a `CheckpointError` that names what differs from the run that has written a checkpoint."""
    state = read_json(checkpoint / "trainer_state.json")
    done = (training_args.max_steps, state["global_step"], "steps")
    if training_args.max_steps <= 0:
        done = (training_args.num_train_epochs, state.get("epoch") or 0, "epochs")
    if done[1] > done[0] + 1e-6:
        raise CheckpointError(
            f"{checkpoint} has been trained {done[1]:g} {done[2]}, and this run ends after {done[0]:g}; raise "
            f"{'max_steps' if done[2] == 'steps' else 'num_train_epochs'}, or name an earlier checkpoint"
        )
    before = read(checkpoint)
    if before is None:
        logger.warning("%s does not say what its run was made of, so that nothing can be compared", checkpoint)
        return
    if changes := differences(before["run"], conditions):
        raise CheckpointError(
            f"{checkpoint} is of another run: {sentence(changes)}; restore these, or start anew with another "
            "output_dir (overwrite_output_dir: true takes this one)"
        )
    if state["max_steps"] != training_args.max_steps and training_args.max_steps > 0 and training_args.should_log:
        logger.warning(
            "%s is of a run of %d steps and this one has %d: from here on its learning rates are those of that length",
            *(checkpoint, state["max_steps"], training_args.max_steps),
        )


class RunRecord(TrainerCallback):
    """Notes in each checkpoint, once all else is written, what the run is made of and how long its files are.

    Args:
        conditions: of the run.
        accelerator: to wait for the other processes, each of which writes its own files.
    """

    def __init__(self, conditions: Mapping[str, Any], accelerator: Any) -> None:
        self.conditions, self.accelerator = conditions, accelerator

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the record into the checkpoint that has just been saved."""
        self.accelerator.wait_for_everyone()
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if args.should_save and folder.is_dir():
            write(folder, {"run": dict(self.conditions), "files": sizes(folder)})


def samples_digest(samples: Any, parts: Sequence[str]) -> str | None:
    """Return a digest of tokens and names of images, in order; None of a stream."""
    samples = samples.dataset if isinstance(samples, PackedRows) else samples
    if samples is None or not hasattr(samples, "select_columns"):
        return None
    digest, names = hashlib.blake2b(digest_size=8), [f"{part}input_ids" for part in parts]
    for table in samples.select_columns([*names, "images"]).with_format("arrow").iter(batch_size=1000):
        for name in names:
            lists = table[name].combine_chunks()
            for values in (lists.flatten(), lists.value_lengths()):
                digest.update(np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes())
        images = (image for row in table["images"].to_pylist() for image in row or ())
        digest.update("\0".join(Path(image).name if isinstance(image, str) else "" for image in images).encode())
    return digest.hexdigest()


def model_digest(directory: Path) -> str:
    """Return a digest of a model directory's options and of both ends of each of its weights' files."""
    config = read_json(directory / "config.json")
    config.pop("transformers_version", None)
    digest = hashlib.blake2b(json.dumps(config, sort_keys=True).encode(), digest_size=8)
    for path in sorted(directory.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED_BYTES))
            file.seek(max(0, size - _SAMPLED_BYTES))
            digest.update(file.read(_SAMPLED_BYTES))
    return digest.hexdigest()
