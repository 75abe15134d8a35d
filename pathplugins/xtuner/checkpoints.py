"""XTuner's checkpoints, ours and PA-LLaVA's: the trained weights of an ``iter_N.pth``, a file or a directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.projector import PREFIX
from pathplugins.weights import open_weights
from pathplugins.weights.names import pallava as pallava_names

TOWER, CONNECTOR, SELECTOR = "vision_tower", "multi_modal_projector", "token_selector"
"""What the names of the weights of each part begin with, behind what a wrapper puts in front."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Name -> weight, on the CPU; DeepSpeed's in the float32 it trained them in."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give an iter_N.pth of the work directory")
    # XTuner's own reader rounds DeepSpeed's weights to float16.
    return {name.removeprefix("module."): value for name, value in open_weights(path).items()}


def by_our_names(state: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """Weights with the connector called as in the model they are for; PA-LLaVA's own checkpoints call it otherwise.

    Args:
        state: name -> weight.
        own: names of the model's weights, which tell what stands before the connector's.
    """
    if not any(name.startswith(pallava_names.PREFIX) for name in state):
        return dict(state)
    before = next((name.split(PREFIX)[0] + PREFIX for name in own if PREFIX in name), PREFIX)
    renamed = {}
    for name, value in state.items():
        bare = name.removeprefix(pallava_names.PREFIX)
        ours = pallava_names.to_ours(bare)
        if bare == name:
            renamed[name] = value
        elif ours is not None:
            renamed[before + ours] = value
    return renamed
