"""Checkpoints that a kill has cut short: found before anything is loaded, and the one before is taken."""

from __future__ import annotations

import logging
import re
import zipfile
from pathlib import Path

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.core.json_values import parse_json
from pathplugins.core.resume_record import read

logger = logging.getLogger(__name__)

_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"
_OPTIMIZER = ("optimizer.pt", "optimizer.bin", "optimizer_0", "global_step*")
"""What holds the optimizer: of Transformers, of FSDP, of DeepSpeed."""
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin", "pytorch_model_fsdp_0", "global_step*")


def resume_point(asked: str, output_dir: str) -> str | None:
    """Return the checkpoint to go on from: the one asked for, or where that was cut short the newest whole one before.

    Args:
        asked: the checkpoint that is asked for, or that LLaMA-Factory has found.
        output_dir: of the run; None is returned, to start from the beginning, where it holds no whole checkpoint.

    Raises:
        CheckpointError: the checkpoint lies elsewhere and none before it is whole, or it cannot be gone on from at all.
    """
    folder = Path(asked)
    if not folder.is_dir():
        raise CheckpointError(f"resume_from_checkpoint: {asked} is no folder; name a checkpoint-N of an earlier run")
    said = damage(folder)
    if said is None:
        return asked
    for earlier in _before(folder):
        if damage(earlier) is None:
            logger.warning("%s was cut short (%s); the run goes on from %s", folder, said, earlier)
            return str(earlier)
    if folder.resolve().parent != Path(output_dir).resolve():
        raise CheckpointError(
            f"{folder} was cut short ({said}) and no checkpoint before it is whole; name another in "
            "resume_from_checkpoint, or remove the key to start anew"
        )
    logger.warning(
        "%s was cut short (%s), and there is none before it: the run starts from the beginning", folder, said
    )
    return None


def damage(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, in words; None if it is whole.

    Sizes tell where the checkpoint has our record, which is written last; else the files themselves.

    Raises:
        CheckpointError: it holds weights only, on purpose, so that no run can go on from it.
    """
    record = read(folder)
    if record is not None:
        return _other_sizes(folder, record.get("files", {}))
    try:
        read_json(folder / _STATE)
    except FileNotFoundError:
        return f"{_STATE} is missing"
    except ValueError:
        return f"{_STATE} is not whole"
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        return "the weights are missing"
    if not any(any(folder.glob(pattern)) for pattern in _OPTIMIZER):
        return "the optimizer is missing"
    broken = next((path.name for path in sorted(folder.iterdir()) if path.is_file() and not _is_whole(path)), None)
    return f"{broken} is not whole" if broken else None


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of every file of a checkpoint, by its path in it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


def refuse_without_optimizer(folder: Path) -> None:
    """Raise for a checkpoint of ``save_only_model: true``: the optimizer would start anew, without a word."""
    if not any(any(folder.glob(pattern)) for pattern in _OPTIMIZER):
        raise CheckpointError(
            f"{folder} holds weights only (save_only_model: true), and a run cannot go on from it; start anew "
            "(overwrite_output_dir: true) or begin another run with its weights"
        )


def _before(folder: Path) -> list[Path]:
    """Return the checkpoints before one, beside it, the newest first."""
    match = _NAME.fullmatch(folder.name)
    if match is None:
        return []
    named = {int(found[1]): path for path in folder.parent.iterdir() if (found := _NAME.fullmatch(path.name))}
    return [named[step] for step in sorted(named, reverse=True) if step < int(match[1]) and named[step].is_dir()]


def _other_sizes(folder: Path, wanted: dict[str, int]) -> str | None:
    found = sizes(folder)
    for name, size in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name] != size:
            return f"{name} has {found[name]} of {size} bytes"
    return None


def _is_whole(path: Path) -> bool:
    """Whether a file of weights, optimizer or JSON ends where it says; others are not looked at."""
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = file.read(size)
        try:
            ends = [entry["data_offsets"][1] for name, entry in parse_json(header).items() if name != "__metadata__"]
        except ValueError:
            return False
        return path.stat().st_size == 8 + size + max(ends, default=0)
    if path.suffix in (".pt", ".pth", ".bin") and path.stat().st_size:
        return zipfile.is_zipfile(path) or path.name == "training_args.bin"
    return path.stat().st_size > 0 or path.suffix not in (".pt", ".pth", ".bin", ".json")
