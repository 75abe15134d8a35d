"""XTuner's checkpoints, ours and PA-LLaVA's: the trained weights of an ``iter_N.pth``, a file or a directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.projector import PREFIX
from pathplugins.weights.names import pallava as pallava_names
from pathplugins.weights.training_file import lazy_tensors

TOWER, CONNECTOR, SELECTOR = "vision_tower", "multi_modal_projector", "token_selector"
"""What the names of the weights of each part begin with, behind what a wrapper puts in front."""


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Name -> weight, on the CPU; DeepSpeed's in the float32 it trained them in."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give an iter_N.pth of the work directory")
    if path.is_dir():
        # XTuner's own reader rounds to float16. DeepSpeed's runs what the files say: they are the user's own run.
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        state = get_fp32_state_dict_from_zero_checkpoint(str(path.parent), path.name)
    else:
        state = {name: read() for name, read in lazy_tensors(path).items()}
    return {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}


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
