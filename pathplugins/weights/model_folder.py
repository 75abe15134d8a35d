"""Weights of a Hugging Face model directory, whole or in shards."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import is_file, read_json
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.mapping import Weights
from pathplugins.weights.stored import Stored

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
BIN_INDEX = "pytorch_model.bin.index.json"
BIN_WHOLE = "pytorch_model.bin"


def holds_safetensors(folder: Path) -> bool:
    """Return whether Transformers would load safetensors from a directory."""
    return (folder / INDEX).is_file() or (folder / WHOLE).is_file()


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that Transformers would load from a model directory, and no other beside them.

    Raises:
        CheckpointError: There are none, or some that the index names are missing.
    """
    if not holds_safetensors(folder):
        other = sorted(p.name for pattern in ("*.safetensors", "*.bin", "*.pth") for p in folder.glob(pattern))
        raise CheckpointError(
            f"{folder} holds neither {WHOLE} nor {INDEX}" + (f" (found {few(other)})" if other else "") + "; "
            'convert once: python -c "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; '
            f"[part.from_pretrained('{folder}').save_pretrained('OUT') for part in (M, T)]\""
        )
    return _listed(folder, INDEX) if (folder / INDEX).is_file() else [folder / WHOLE]


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the weight files of a model directory: safetensors, else ``pytorch_model.bin`` whole or in shards."""
    if holds_safetensors(folder):
        return weight_files(folder)
    if (folder / BIN_INDEX).is_file():
        return _listed(folder, BIN_INDEX)
    if (folder / BIN_WHOLE).is_file():
        return [folder / BIN_WHOLE]
    raise CheckpointError(
        f"{folder} holds neither {WHOLE} nor {BIN_WHOLE} nor shards of one "
        f"(found {few(sorted(path.name for path in folder.iterdir())) or 'nothing'}); finish the download"
    )


def folder_weights(folder: Path) -> Weights:
    """Return the weights of a model directory; where it has an index, those and only those that the index lists.

    Raises:
        CheckpointError: A file, or a tensor that the index names, is missing.
    """
    stored: dict[str, Stored] = {}
    for file in checkpoint_files(folder):
        stored |= file_weights(file).stored
    index = next((folder / name for name in (INDEX, BIN_INDEX) if (folder / name).is_file()), None)
    if index is None or (index.name == BIN_INDEX and holds_safetensors(folder)):
        return Weights(stored)
    listed = _weight_map(index)
    if missing := sorted(listed.keys() - stored.keys()):
        raise CheckpointError(
            f"{folder}: {len(missing)} of the {len(listed)} weights that {index.name} names are in none of its files: "
            f"{few(missing)}; download it again"
        )
    return Weights({name: value for name, value in stored.items() if name in listed})


def _weight_map(index: Path) -> dict[str, str]:
    """Return weight -> file of an index."""
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise CheckpointError(f"{index}: weight_map is no object of weight -> file; download it again")
    return found


def _listed(folder: Path, index: str) -> list[Path]:
    names = sorted(set(_weight_map(folder / index).values()))
    absent = [name for name in names if not is_file(folder / name)]
    if absent:
        raise CheckpointError(
            f"{folder}: {len(absent)} of the {len(names)} files named in {index} are not there: {few(absent)}; "
            "finish the download"
        )
    return [folder / name for name in names]
