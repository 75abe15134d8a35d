"""Weights of a patch encoder: read a checkpoint of any project and load all of the encoder, or refuse."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError

from .optional import need

CONTAINERS = ("state_dict", "model", "model_state_dict", "teacher")  #: where training scripts put the weights
#: what a training script adds to an encoder: classifiers, and the losses of DINO, MoCo, SimCLR, BYOL and MAE
HEADS = ("head", "fc.", "classifier", "decoder", "mask_token", "projection", "projector", "predictor", "queue")
COUNTERS = "num_batches_tracked"  #: of batch norms; unused in inference and absent from converted checkpoints


def load_weights(model: Any, path: Path) -> int:
    """Load the encoder's weights from ``path``; returns how many entries of heads and other parts were left out.

    Raises:
        CheckpointError: unreadable, or not all of the encoder's weights and nothing but them and known heads.
    """
    found = _read(path)
    wanted = model.state_dict()
    prefix = _prefix(found, wanted)
    own = {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}
    missing = [key for key in wanted if key not in own and not key.endswith(COUNTERS)]
    reshaped = [key for key in wanted if key in own and own[key].shape != wanted[key].shape]
    surplus = [key for key in own if key not in wanted and not key.startswith(HEADS)]
    if missing or reshaped or surplus:
        raise CheckpointError(
            f"{path} does not fit: of the encoder's {len(wanted)} weights it has "
            f"{len(wanted) - len(missing) - len(reshaped)}, lacks {len(missing)}{_some(missing)}, has "
            f"{len(reshaped)} of another shape{_some(reshaped)}, and has {len(surplus)} the encoder does not "
            f"know{_some(surplus)}; it is for another --encoder"
        )
    model.load_state_dict({key: own[key] for key in wanted if key in own}, strict=False)
    return len(found) - sum(key in own for key in wanted)


def sha256(path: Path) -> str:
    """Hex digest of a file, for the record kept with the features."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a checkpoint file by name."""
    if not path.is_file():
        raise CheckpointError(f"--weights {path}: no such file")
    if path.suffix == ".safetensors":
        return need("safetensors.torch").load_file(path)
    torch = need("torch")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f"{path}: not weights alone, or damaged ({str(error).splitlines()[0]}); "
            "save the state_dict by itself where the file came from, as .safetensors"
        ) from error
    for container in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(container), dict):
            content = content[container]
            break
    tensors = {k: v for k, v in content.items() if hasattr(v, "shape")} if isinstance(content, dict) else {}
    if not tensors:
        raise CheckpointError(f"{path}: holds no weights by name (a {type(content).__name__}); pass a state_dict")
    return tensors


def _prefix(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What stands before the encoder's names in the checkpoint (``module.backbone.`` and the like)."""
    probe = next(iter(wanted))
    prefixes = {key[: -len(probe)] for key in found if key.endswith(probe)} | {""}
    return max(sorted(prefixes), key=lambda prefix: sum(prefix + key in found for key in wanted))


def _some(keys: list[str]) -> str:
    return f" ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" if keys else ""
