"""Open weights wherever they lie: a file, a model directory, a DeepSpeed folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.deepspeed_folder import deepspeed_weights, is_deepspeed
from pathplugins.weights.file import described, file_content, file_weights
from pathplugins.weights.mapping import Weights
from pathplugins.weights.model_folder import folder_weights
from pathplugins.weights.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor


def open_weights(path: str | Path) -> Weights:
    """Return the weights at ``path``, of which nothing is read yet but names, types and shapes.

    Args:
        path: a safetensors or PyTorch file, a Hugging Face directory, or a folder that DeepSpeed (or XTuner by it)
            wrote, whose trained weights come in the float32 they were trained in.

    Raises:
        CheckpointError: There are no whole weights; the message names what was found and the next step.
    """
    path = Path(path)
    if not path.is_dir():
        return file_weights(path)
    return deepspeed_weights(path) if is_deepspeed(path) else folder_weights(path)


def read_weights(path: str | Path, *, containing: str = "") -> dict[str, Tensor]:
    """Return the tensors at ``path`` by name, on the CPU; only those with ``containing`` in their names are read.

    Raises:
        CheckpointError: As of `open_weights`.
    """
    return dict(open_weights(path).containing(containing))


def open_tensor(path: str | Path) -> Stored:
    """Return the one tensor that a PyTorch file holds in place of a dictionary.

    Raises:
        CheckpointError: The file is missing or damaged, or holds something else.
    """
    content = file_content(Path(path))
    if not isinstance(content, Stored):
        raise CheckpointError(f"{path}: holds {described(content)}, expected one tensor")
    return content
