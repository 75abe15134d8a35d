"""Read the trained weights of a checkpoint of XTuner, ``iter_N.pth``: a file, or a folder that DeepSpeed wrote."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights

TOWER, CONNECTOR, SELECTOR = "vision_tower", "multi_modal_projector", "token_selector"
"""Beginnings of the names of each part's weights, behind what a wrapper puts in front."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return name -> weight, on the CPU; DeepSpeed's in the float32 it trained them in.

    Raises:
        CheckpointError: There is no such checkpoint, or it is not whole.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give an iter_N.pth of the work directory")
    # XTuner's own reader rounds DeepSpeed's weights to float16.
    return {name.removeprefix("module."): value for name, value in open_weights(path).items()}
