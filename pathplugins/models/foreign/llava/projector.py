"""Convert a connector alone, between LLaVA's ``mm_projector.bin`` (its first phase's result) and our names."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.models.compose.projector import PREFIX, read_projector
from pathplugins.weights.compare import few
from pathplugins.weights.names.llava import to_layout

TYPES = {
    frozenset({"linear_1.weight", "linear_1.bias"}): "linear",
    frozenset({"linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias"}): "mlp2x_gelu",
}
"""Names of the weights -> ``mm_projector_type``, of those that LLaVA v1.5 has."""


def export_projector(source: Path, out: Path) -> str:
    """Write a connector by LLaVA's names, ``model.mm_projector.{0,2}.*``, and return its type.

    Args:
        source: whatever ``projector_path`` takes: a model directory, a training run's output, a connector's file.
        out: new file, ``mm_projector.bin``.

    Raises:
        CheckpointError: There is no connector, or one that LLaVA v1.5 does not have.
    """
    state, kind = _read(source, out, ".bin")
    named = {to_layout(PREFIX + name, "llava", linear=kind == "linear"): value for name, value in state.items()}
    with replacing(out) as beside:
        torch.save(named, beside)
    return kind


def import_projector(source: Path, out: Path) -> str:
    """Write LLaVA's connector by our names, and return its type; ``projector_path`` takes either file."""
    state, kind = _read(source, out, ".safetensors")
    with replacing(out) as beside:
        save_file({PREFIX + name: value for name, value in state.items()}, beside, metadata={"format": "pt"})
    return kind


def _read(source: Path, out: Path, suffix: str) -> tuple[dict[str, Tensor], str]:
    if out.suffix != suffix:
        raise PathPluginsError(f"--out {out}: a connector is written to one file, give it a name ending in {suffix}")
    if out.exists():
        raise PathPluginsError(f"{out} exists; choose another --out or remove it")
    state, _ = read_projector(source)
    kind = TYPES.get(frozenset(state))
    if kind is None:
        raise CheckpointError(
            f"{source}: a connector with {len(state)} weights ({few(sorted(state))}) is neither linear nor mlp2x_gelu, "
            "which are LLaVA v1.5's, of 2 and 4 weights"
        )
    return {name: value.contiguous() for name, value in state.items()}, kind
