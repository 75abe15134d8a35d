"""Reading weights from files: tensors only, never code, and an error that says what is wrong with the file."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json

INDEX = "model.safetensors.index.json"


def read_tensors(path: Path, *, containing: str = "") -> dict[str, Tensor]:
    """The named tensors of a ``.safetensors`` or PyTorch file, on the CPU.

    Args:
        path: the file; a PyTorch one may hold its tensors below ``model`` or ``state_dict``.
        containing: what a name must hold to be read; from safetensors nothing else is loaded.
    """
    head = _head(path)
    if path.suffix == ".safetensors":
        with opened(path) as file:
            return {name: file.get_tensor(name) for name in file.keys() if containing in name}  # noqa: SIM118
    if not head.startswith((b"PK", b"\x80")):  # a zip archive or, before PyTorch 1.6, a bare pickle
        raise CheckpointError(f"{path}: not a PyTorch file, it begins with {head!r}; download it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: damaged, or holds Python objects besides tensors ({type(error).__name__}); download it again, or "
            "re-save its state dict alone"
        ) from error
    for level in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(level), Mapping):
            content = content[level]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: wanted a dictionary of tensors, got a {type(content).__name__}")
    return {name: value for name, value in content.items() if isinstance(value, Tensor) and containing in name}


def tensor_names(path: Path) -> list[str]:
    """What a ``.safetensors`` file holds, from its header alone."""
    _head(path)
    with opened(path) as file:
        return list(file.keys())


def weight_files(folder: Path) -> list[Path]:
    """The ``.safetensors`` files Transformers would load from a model directory, and no other lying beside them."""
    if (folder / INDEX).is_file():
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    elif (folder / "model.safetensors").is_file():
        names = ["model.safetensors"]
    else:
        other = sorted(p.name for pattern in ("*.safetensors", "*.bin", "*.pth") for p in folder.glob(pattern))
        raise CheckpointError(
            f"{folder} holds neither model.safetensors nor {INDEX}" + (f" (found {few(other)})" if other else "") + "; "
            'convert once: python -c "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; '
            f"[part.from_pretrained('{folder}').save_pretrained('OUT') for part in (M, T)]\""
        )
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise CheckpointError(
            f"{folder}: {len(absent)} of the {len(names)} files named in {INDEX} are not there: {few(absent)}; "
            "finish the download"
        )
    return [folder / name for name in names]


def mismatch(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How two state dicts differ in names and shapes, in one clause; empty when they do not."""
    shapes, got = ({name: tuple(t.shape) for name, t in state.items()} for state in (wanted, found))
    problems = {
        "missing": sorted(shapes.keys() - got.keys()),
        "unexpected": sorted(got.keys() - shapes.keys()),
        "of another shape": [
            f"{name} is {got[name]}, wanted {shapes[name]}"
            for name in sorted(shapes.keys() & got.keys())
            if shapes[name] != got[name]
        ],
    }
    return "; ".join(f"{len(names)} {kind}: {few(names)}" for kind, names in problems.items() if names)


def few(names: Iterable[str]) -> str:
    """The first names of a list that may be long."""
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path or download the weights first")
    with path.open("rb") as file:
        head = file.read(24)
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a Git LFS pointer, not the weights; run `git lfs pull` where it was cloned")
    return head


def opened(path: Path) -> safe_open:
    """A ``.safetensors`` file, of which nothing is read yet but its header."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); download it again") from error
