"""Fit a configuration to the machine: leave out what one process or a processor without a GPU cannot do, and say so."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError

logger = logging.getLogger(__name__)

_LAUNCHED = ("LOCAL_RANK", "RANK", "WORLD_SIZE")
"""Environment variables of a process that torchrun or another launcher has started."""


def fit_to_machine(config: dict[str, Any]) -> None:
    """Remove, in place, settings that would end the run on this machine; each with one line in the log.

    ``deepspeed`` on one process that no launcher started: there is nobody to share with, and LLaMA-Factory refuses. A
    file that offloads to the CPU does work on one process and stays. ``bf16``, ``fp16`` and ``tf32`` without a GPU: the
    model trains in float32. With ``use_cpu: true`` bf16 stays, as Transformers has it. Where Ray starts the processes
    that train, on whatever machines, each of those fits its own.
    """
    if _drives_ray():
        return
    if _is_alone() and config.get("deepspeed") is not None and not _offloads(config["deepspeed"]):
        logger.warning(
            "deepspeed: %s is left out, one process has nobody to share with; start with FORCE_TORCHRUN=1 to use it",
            config.pop("deepspeed"),
        )
    left_out = [key for key in ("bf16", "fp16", "tf32") if config.get(key) is True and _needs_a_gpu(key, config)]
    if left_out and _has_no_gpu():
        for key in left_out:
            del config[key]
        level = logging.WARNING if os.environ.get("LOCAL_RANK", "0") == "0" else logging.DEBUG  # once, not by each rank
        names = ", ".join(left_out)
        logger.log(level, "no GPU here: %s left out, the model trains in float32 on the processor", names)


def check_ray() -> None:
    """Raise where LLaMA-Factory would wait for Ray for ever: without an accelerator it asks for ten CPUs per CPU."""
    if not _drives_ray() or not _has_no_gpu():
        return
    from llamafactory.train import trainer_utils

    if hasattr(trainer_utils, "get_placement_group"):  # 0.9.5; before, Ray's own trainer asked for what it needs
        raise PathPluginsError(
            "USE_RAY: without an accelerator on the machine that starts the run, LLaMA-Factory asks Ray for ten CPUs "
            "for each CPU there is and waits for ever; start it on a machine with one, or unset USE_RAY and set "
            "FORCE_TORCHRUN=1 NPROC_PER_NODE=N"
        )


def _drives_ray() -> bool:
    from llamafactory.extras.misc import use_ray

    return _is_alone() and bool(use_ray())


def _is_alone() -> bool:
    return not any(name in os.environ for name in _LAUNCHED)


def _offloads(deepspeed: Any) -> bool:
    """Whether a DeepSpeed file or mapping moves anything to the memory of the processor or to a disk."""
    if isinstance(deepspeed, str):
        return Path(deepspeed).is_file() and "offload" in Path(deepspeed).read_text(encoding="utf-8")
    return "offload" in json.dumps(deepspeed)


def _needs_a_gpu(key: str, config: dict[str, Any]) -> bool:
    return key != "bf16" or config.get("use_cpu") is not True


def _has_no_gpu() -> bool:
    from llamafactory.extras.misc import get_current_device

    return get_current_device().type == "cpu"
