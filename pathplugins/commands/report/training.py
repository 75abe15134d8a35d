"""Read the losses that a training run logged, from the folder of either trainer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.commands.predictions import read_rows
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.nearest import near_path

LOG, STATE = "trainer_log.jsonl", "trainer_state.json"
"""Of LLaMA-Factory; the second stands in every checkpoint too."""
SCALARS = "*/vis_data/scalars.json"
"""Of XTuner, in a folder for each start."""

_NAMES = {"loss": "loss", "eval_loss": "evaluation loss"}
"""As logged -> as shown."""
_STEPS = ("current_steps", "step", "iter")


@dataclass(frozen=True)
class Training:
    """What a training run logged."""

    name: str
    losses: Mapping[str, list[tuple[int, float]]]
    """Name -> (step, value), in the order of the steps."""
    odd: int
    """Steps whose loss is no finite number."""


def read_training(folder: Path) -> Training:
    """Read the losses of a run; where a resumed run did steps again, what it logged last.

    Raises:
        PathPluginsError: no such folder, or it holds no log with a loss.
    """
    if not folder.is_dir():
        raise PathPluginsError(
            f"--training {folder}: no such folder; name the output_dir or work_dir{near_path(folder)}"
        )
    found: dict[str, dict[int, float]] = {name: {} for name in _NAMES.values()}
    before = 0
    for row in _logged(folder):
        step = next((row[name] for name in _STEPS if isinstance(row.get(name), int)), None)
        if step is None:
            continue
        if step < before:  # resumed, or begun anew in the same folder
            found = {name: {s: v for s, v in values.items() if s < step} for name, values in found.items()}
        before = step
        for key, name in _NAMES.items():
            if isinstance(row.get(key), int | float):
                found[name][step] = float(row[key])
    if not any(found.values()):
        raise PathPluginsError(
            f"--training {folder} holds no loss: neither {LOG} or {STATE} of LLaMA-Factory nor {SCALARS} of XTuner "
            "with one; name the output_dir or work_dir of a run that logged"
        )
    finite = {
        name: [each for each in sorted(values.items()) if math.isfinite(each[1])] for name, values in found.items()
    }
    odd = sum(len(values) for values in found.values()) - sum(map(len, finite.values()))
    return Training(str(folder), {name: values for name, values in finite.items() if values}, odd)


def _logged(folder: Path) -> Iterable[Mapping[str, Any]]:
    """Return what was logged, in the order of writing."""
    if (folder / LOG).is_file():
        return read_rows(folder / LOG)
    if states := [*folder.glob(STATE), *folder.glob(f"checkpoint-*/{STATE}")]:
        histories = [read_json(state).get("log_history", []) for state in states]
        return max(histories, key=lambda rows: max((row.get("step", 0) for row in rows), default=0))
    return _lines(sorted(folder.glob(SCALARS)))  # named by the time of their start


def _lines(files: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    for file in files:
        yield from read_rows(file)
