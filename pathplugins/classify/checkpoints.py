"""Find where an output directory stands: new, interrupted, finished, or used with other settings."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pathplugins.classify.runs import RECORD
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.json_values import parse_json
from pathplugins.core.resume_record import every_difference, sentence

SETTINGS = "settings.json"
#: options that change neither the losses nor what is trained, and may differ when a run is resumed
FREE = {
    *("output_dir", "logging_steps", "logging_strategy", "logging_first_step", "save_steps", "save_strategy"),
    *("save_total_limit", "save_on_each_node", "eval_steps", "eval_strategy", "eval_delay", "eval_on_start"),
    *("per_device_eval_batch_size", "report_to", "run_name", "disable_tqdm", "log_level", "log_level_replica"),
    *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers"),
    *("dataloader_prefetch_factor", "ddp_backend", "ddp_timeout", "ddp_find_unused_parameters", "local_rank"),
}


def prepare_output(out: Path, settings: Mapping[str, Any]) -> None:
    """Record the settings of a run in its output directory, or check that they are those recorded.

    Args:
        out: made where it does not exist.
        settings: name -> value, plain values.

    Raises:
        PathPluginsError: the directory holds another run, or other files.
    """
    settings = {name: value for name, value in settings.items() if name not in FREE}
    path = out / SETTINGS
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PathPluginsError(
                f"output_dir {out} exists and is not a run of `pathplugins classify train`; name another or remove it"
            )
        write_json(path, settings)
        return
    if changes := every_difference(read_json(path), settings):
        raise PathPluginsError(
            f"output_dir {out} holds a run with other settings: {sentence(changes)}; name another output_dir, or "
            f"remove {out} to train anew"
        )


@functools.cache
def read_as_cpu() -> None:
    """Let ``torch.load`` read onto ``cpu:0``: so Accelerate calls the device of each CPU process, and torch does not.

    Without it the Trainer of several CPU processes cannot load the optimiser of a checkpoint.
    """
    torch.serialization.register_package(
        15, lambda storage: None, lambda storage, location: storage if location == "cpu:0" else None
    )


def is_finished(out: Path) -> bool:
    """Return whether the run in ``out`` was trained to its end."""
    return (out / RECORD).is_file()


def last_checkpoint(out: Path, processes: int) -> Path | None:
    """Return the newest checkpoint that was written whole, or None; one cut short by a kill is passed over.

    Args:
        out: the output directory.
        processes: processes that train, each with its random state.
    """
    numbered = [(int(each.name.rpartition("-")[2]), each) for each in out.glob("checkpoint-*[0-9]") if each.is_dir()]
    whole = [each for _, each in sorted(numbered) if _is_whole(each, processes)]
    return whole[-1] if whole else None


def _is_whole(checkpoint: Path, processes: int) -> bool:
    """Return whether all files are there to their last byte: those of torch end in an index."""
    randoms = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    archives = [checkpoint / name for name in ("optimizer.pt", "scheduler.pt", *randoms)]
    if not (checkpoint / "model.safetensors").is_file() or not all(map(zipfile.is_zipfile, archives)):
        return False
    try:
        parse_json((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
