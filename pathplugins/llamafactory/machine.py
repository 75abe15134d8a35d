"""Fit a configuration to the machine: leave out what one process or a processor without a GPU cannot do, and say so."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_LAUNCHED = ("LOCAL_RANK", "RANK", "WORLD_SIZE")
"""Environment variables of a process that torchrun or another launcher has started."""


def fit_to_machine(config: dict[str, Any]) -> None:
    """Remove, in place, settings that would end the run on this machine; each with one line in the log.

    ``deepspeed`` on one process that no launcher started: there is nobody to share with, and LLaMA-Factory refuses. A
    file that offloads to the CPU does work on one process and stays. ``bf16``, ``fp16`` and ``tf32`` without a GPU: the
    model trains in float32. With ``use_cpu: true`` bf16 stays, as Transformers has it.
    """
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
