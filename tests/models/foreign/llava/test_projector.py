"""A connector alone, to LLaVA's names and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.compose.projector import load_projector, save_projector
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.foreign.llava.projector import export_projector, import_projector


@pytest.mark.parametrize("kind", ["mlp2x_gelu", "linear"])
def test_the_connector_alone(tmp_path: Path, kind: str) -> None:
    """P22: what our first phase writes goes into LLaVA's second, and the other way round."""
    torch.manual_seed(4)
    part = CONNECTORS.get(kind)(7, 5)
    (tmp_path / "run").mkdir()
    save_projector(part.state_dict(), tmp_path / "run", {"type": kind})
    assert export_projector(tmp_path / "run", tmp_path / "mm_projector.bin") == kind
    weights = torch.load(tmp_path / "mm_projector.bin", weights_only=True)
    theirs = nn.Sequential(nn.Linear(7, 5), nn.GELU(), nn.Linear(5, 5)) if kind == "mlp2x_gelu" else nn.Linear(7, 5)
    theirs.load_state_dict({name.split("mm_projector.")[1]: value for name, value in weights.items()})  # as LLaVA does
    assert all(name.startswith("model.mm_projector.") for name in weights)
    x = torch.randn(3, 7)
    assert torch.equal(theirs(x), part(x))
    assert import_projector(tmp_path / "mm_projector.bin", tmp_path / "ours.safetensors") == kind
    fresh = CONNECTORS.get(kind)(7, 5)
    load_projector(fresh, tmp_path / "ours.safetensors")
    assert torch.equal(fresh(x), part(x))


def test_what_cannot_be_exported_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    part = CONNECTORS.get("gamma_mlp")(7, 5)
    save_projector(part.state_dict(), tmp_path, {"type": "gamma_mlp"})
    with pytest.raises(CheckpointError, match=r"a connector with \d+ weights .* is neither linear nor mlp2x_gelu"):
        export_projector(tmp_path, tmp_path / "theirs.bin")
    with pytest.raises(PathPluginsError, match=r"written to one file, give it a name ending in \.safetensors"):
        import_projector(tmp_path / "mm_projector.bin", tmp_path / "ours.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mm_projector.bin", "mm_projector.json"]
