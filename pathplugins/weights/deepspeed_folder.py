"""Weights of a folder that DeepSpeed wrote, put together from the pieces of all ranks (ZeRO 1 to 3).

A folder holds ``mp_rank_00_model_states.pt``, or from ZeRO-3 one ``zero_pp_rank_N_mp_rank_00_model_states.pt`` per
rank, and per rank ``*zero_pp_rank_N_mp_rank_00_optim_states.pt`` with the weights in the float32 they were trained in.
The layout is that of ``deepspeed.utils.zero_to_fp32``, which runs what the files say; here nothing is run, and each
weight is read when asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.containers import tensors_of
from pathplugins.weights.file import file_content
from pathplugins.weights.mapping import Weights
from pathplugins.weights.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor

MODEL, OPTIMIZER = "_model_states.pt", "_optim_states.pt"
"""Ends of the names of files with weights and settings, and with what is trained."""
LATEST = "latest"
"""File beside the folders of a run that names the last of them."""
_FLAT = {2: "single_partition_of_fp32_groups", 3: "fp32_flat_groups"}
"""ZeRO stage (1 counts as 2) -> entry with a rank's part of the trained weights, one vector per group of parameters."""

Shapes = dict[str, tuple[int, ...]]


def is_deepspeed(folder: Path) -> bool:
    """Return whether DeepSpeed wrote a folder, or the folder above it."""
    return any(folder.glob(f"*{MODEL}")) or (
        (folder / LATEST).is_file() and not any((*folder.glob("*.safetensors"), *folder.glob("*.bin")))
    )


def deepspeed_weights(folder: Path) -> Weights:
    """Return the weights of a folder, or of the last checkpoint below it.

    Trained weights are float32; frozen ones and buffers have the type they were run in. Without the files of the
    optimizer the weights are those of ``mp_rank_00_model_states.pt``.

    Raises:
        CheckpointError: A rank's file is missing or damaged, or the run was split in other ways than by ZeRO.
    """
    if not any(folder.glob(f"*{MODEL}")):
        folder = folder / (folder / LATEST).read_text(encoding="utf-8").strip()
    models, optimizers = _by_rank(folder, MODEL), _by_rank(folder, OPTIMIZER)
    if not models:
        raise CheckpointError(f"{folder} holds no *{MODEL}; copy the whole folder that DeepSpeed wrote")
    first = _content(models[0], "module")
    if not optimizers:
        return _run_weights(folder, models[0], first)
    groups = [_content(file, "optimizer_state_dict")["optimizer_state_dict"] for file in optimizers]
    stage = next((stage for stage, name in _FLAT.items() if name in groups[0]), None)
    if stage is None:
        return _run_weights(folder, models[0], first)
    _check_ranks(folder, groups[0].get("partition_count"), len(optimizers))
    flat = [group[_FLAT[stage]] for group in groups]
    shapes = [dict(group) for group in first.get("param_shapes") or ()]
    buffers = first.get("buffer_names") or ()
    stored = {name: value for name, value in tensors_of(first["module"]).items() if name in buffers}
    stored |= _frozen(first, models, stage)
    stored |= _zero2(folder, shapes, flat) if stage == 2 else _zero3(folder, shapes, flat)
    for alias, name in (first.get("shared_params") or {}).items():
        if name in stored:
            stored[alias] = stored[name]
    return Weights(stored)


@dataclass(frozen=True)
class _Joined(Stored):
    """A weight from pieces of vectors, in their order."""

    pieces: tuple[tuple[Stored, int, int], ...]
    """(vector, first value, value behind the last)."""

    def read(self) -> Tensor:
        """Return the weight; each piece is read from its own file."""
        import torch

        parts = [vector.rows(start, stop) for vector, start, stop in self.pieces]
        return torch.cat(parts).view(self.shape) if len(parts) > 1 else parts[0].view(self.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return some rows of the first axis; the whole weight is read for them."""
        return self.read()[start:stop]


def _by_rank(folder: Path, end: str) -> list[Path]:
    """Return the files with an end of a name, by rank; refuse those of a model that was split otherwise."""
    files: dict[int, Path] = {}
    for path in folder.glob(f"*{end}"):
        found = re.fullmatch(r"(?:bf16_|fp16_)?(?:zero_pp_rank_(\d+)_)?mp_rank_(\d+)", path.name.removesuffix(end))
        if found is None or int(found[2]):
            raise CheckpointError(
                f"{path}: of a model split by tensors, layers or experts; merge it with DeepSpeed's own tools first"
            )
        files[int(found[1] or 0)] = path
    if absent := sorted(set(range(len(files))) - files.keys()):
        raise CheckpointError(f"{folder} lacks the *{end} of rank {absent[0]}; copy the files of every node")
    return [files[rank] for rank in sorted(files)]


def _content(path: Path, entry: str) -> dict[str, Any]:
    content = file_content(path)
    if not isinstance(content, Mapping) or not isinstance(content.get(entry), Mapping):
        raise CheckpointError(f"{path}: DeepSpeed's files have an entry {entry!r}, this one has none; copy it again")
    return dict(content)


def _run_weights(folder: Path, file: Path, first: Mapping[str, Any]) -> Weights:
    """Return the weights as the model ran with them."""
    if file.name.startswith("zero_pp_rank"):
        raise CheckpointError(
            f"{folder} holds the weights in pieces (ZeRO-3) and no *{OPTIMIZER}, where they lie; copy the whole folder"
        )
    return Weights(tensors_of(first["module"]), container="module")


def _check_ranks(folder: Path, count: Any, found: int) -> None:
    count = max(count) if isinstance(count, Sequence) else count
    if isinstance(count, int) and count != found:
        raise CheckpointError(
            f"{folder} holds the *{OPTIMIZER} of {found} of {count} ranks; copy the files of every node, and none "
            "of an older run"
        )


def _frozen(first: Mapping[str, Any], models: list[Path], stage: int) -> dict[str, Stored]:
    """Return the weights that were not trained; ZeRO-3 has them in pieces, one of each rank."""
    shapes: Shapes = dict(first.get("frozen_param_shapes") or {})
    if not shapes:
        return {}
    if stage == 2:
        return {name: first["frozen_param_fragments"][name] for name in shapes}
    pieces = [first, *(_content(file, "module") for file in models[1:])]
    fragments = [piece["frozen_param_fragments"] for piece in pieces]
    return {name: _joined([part[name] for part in fragments], shape) for name, shape in shapes.items()}


def _joined(vectors: Sequence[Stored], shape: tuple[int, ...]) -> _Joined:
    """Return a weight from the first values of vectors laid end to end."""
    return _Joined(vectors[0].dtype, shape, tuple(_spans(vectors, 0, math.prod(shape))))


def _spans(vectors: Sequence[Stored], start: int, count: int) -> Iterator[tuple[Stored, int, int]]:
    """Yield the pieces that are values ``start`` to ``start + count`` of vectors laid end to end."""
    if not count:
        yield vectors[0], 0, 0
    for vector in vectors:
        low, high = max(start, 0), min(start + count, vector.numel)
        if low < high:
            yield vector, low, high
        start -= vector.numel


def _zero2(folder: Path, shapes: list[Shapes], flat: list[list[Stored]]) -> dict[str, Stored]:
    """Place the weights of ZeRO-1 and 2: the vectors of all ranks, end to end, hold a group's one after the other."""
    stored: dict[str, Stored] = {}
    for number, group in enumerate(shapes):
        vectors, start = [parts[number] for parts in flat], 0
        for name, shape in group.items():
            count = math.prod(shape)
            stored[name] = _Joined(vectors[0].dtype, tuple(shape), tuple(_spans(vectors, start, count)))
            start += count
        _check_length(folder, start, sum(vector.numel for vector in vectors), 2 * len(flat))
    return stored


def _zero3(folder: Path, shapes: list[Shapes], flat: list[list[Stored]]) -> dict[str, Stored]:
    """Place the weights of ZeRO-3: each is cut into as many pieces as there are ranks, padded to equal length."""
    stored: dict[str, Stored] = {}
    start = 0
    for name, shape in ((name, shape) for group in shapes for name, shape in group.items()):
        count, length = math.prod(shape), math.ceil(math.prod(shape) / len(flat))
        pieces, left = [], count
        for vectors in flat:
            for vector, low, high in _spans(vectors, start, length):
                taken = min(high - low, left)
                pieces.append((vector, low, low + taken))
                left -= taken
        stored[name] = _Joined(flat[0][0].dtype, tuple(shape), tuple(pieces))
        start += length
    _check_length(folder, start, sum(vector.numel for vector in flat[0]), 1)
    return stored


def _check_length(folder: Path, wanted: int, found: int, align: int) -> None:
    """Refuse vectors that are shorter or longer than the weights in them; ZeRO-2 pads them to a multiple."""
    if math.ceil(wanted / align) != math.ceil(found / align):
        raise CheckpointError(
            f"{folder}: its weights have {wanted} values and the files of the optimizer {found}; are the files "
            "those of one checkpoint?"
        )
