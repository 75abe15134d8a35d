"""The one reader, and that there is no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_tensor, open_weights, read_weights

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted(path for top in ("pathplugins", "data_tools") for path in (ROOT / top).rglob("*.py"))


def test_all_or_some_tensors(tmp_path: Path) -> None:
    state = {"a.x": torch.arange(3.0), "b.x": torch.ones(2, 2)}
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        assert open_weights(str(tmp_path / name)).names() == ["a.x", "b.x"]
        read = read_weights(tmp_path / name, containing="a.")
        assert list(read) == ["a.x"]
        assert torch.equal(read["a.x"], state["a.x"])


def test_one_tensor_in_place_of_a_dictionary(tmp_path: Path) -> None:
    features = torch.arange(35.0).view(7, 5)
    torch.save(features, tmp_path / "a.pt")
    stored = open_tensor(tmp_path / "a.pt")
    assert (stored.dtype, stored.shape) == ("float32", (7, 5))
    assert torch.equal(stored.rows(2, 4), features[2:4])
    torch.save({"features": features}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"b\.pt: holds a dict, expected one tensor"):
        open_tensor(tmp_path / "b.pt")


def test_no_module_has_a_reader_of_its_own() -> None:
    """PyTorch's own message tells users to switch its safety off; the pickle module runs what a file says."""
    assert len(SOURCES) > 100
    forbidden = re.compile(r"torch\.load\(|weights_only|load_file\(|pickle\.loads?\(|joblib")
    own = ROOT / "pathplugins" / "weights"
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if own not in path.parents
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


def test_names_and_errors_need_no_torch() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r});"
        "from pathplugins.weights import compare, reader;"
        "from pathplugins.weights.names import llava, open_clip, pallava;"
        "print([name for name in ('torch', 'numpy', 'safetensors') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stderr
