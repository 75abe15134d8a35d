"""Reading weights: tensors only, never code, and errors that name the file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.weights.tensor_files import INDEX, few, mismatch, read_tensors, tensor_names, weight_files

STATE = {"a.x": torch.arange(3.0), "b.x": torch.ones(2, 2)}


@pytest.mark.parametrize("name", ["weights.bin", "weights.pth", "weights.safetensors"])
def test_all_or_some_tensors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file(STATE, path) if path.suffix == ".safetensors" else torch.save({"model": {**STATE, "epoch": 3}}, path)
    assert read_tensors(path).keys() == STATE.keys()
    (only,) = read_tensors(path, containing="a.").items()
    assert only[0] == "a.x"
    assert torch.equal(only[1], STATE["a.x"])


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('pathlib').Path('harm').write_text('done')",))


def test_code_in_a_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Harmful()}, tmp_path / "mm_projector.bin")
    Path("bare.bin").write_bytes(pickle.dumps({"a": Harmful()}))
    for name in ("mm_projector.bin", "bare.bin"):
        with pytest.raises(CheckpointError, match=rf"{name}: damaged, or holds Python objects"):
            read_tensors(tmp_path / name)
    assert not Path("harm").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
def test_a_pointer_or_half_a_file_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match=rf"{name}: a Git LFS pointer"):
        read_tensors(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"{name}: not a"):
        read_tensors(path)


def test_names_come_from_the_header(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert sorted(tensor_names(tmp_path / "a.safetensors")) == ["a.x", "b.x"]
    with pytest.raises(CheckpointError, match="no such file"):
        tensor_names(tmp_path / "b.safetensors")


def test_weight_files_are_those_transformers_loads(tmp_path: Path) -> None:
    for name in ("consolidated.safetensors", "model-1.safetensors", "model-2.safetensors", "adapter_model.safetensors"):
        save_file(STATE, tmp_path / name)
    with pytest.raises(
        CheckpointError, match=r"neither model\.safetensors nor .*consolidated.*save_pretrained\('OUT'\)"
    ):
        weight_files(tmp_path)
    weight_map = {"a.x": "model-2.safetensors", "b.x": "model-1.safetensors"}
    write_json(tmp_path / INDEX, {"weight_map": weight_map})
    assert [path.name for path in weight_files(tmp_path)] == ["model-1.safetensors", "model-2.safetensors"]
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"1 of the 2 files named in .* are not there: model-2\.safetensors"):
        weight_files(tmp_path)
    (tmp_path / INDEX).unlink()
    save_file(STATE, tmp_path / "model.safetensors")
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


def test_mismatch_names_everything_that_differs() -> None:
    assert mismatch(STATE, dict(reversed(STATE.items()))) == ""
    found = {"b.x": torch.ones(2, 3), "c": torch.ones(1)}
    assert mismatch(STATE, found) == "1 missing: a.x; 1 unexpected: c; 1 of another shape: b.x is (2, 3), wanted (2, 2)"


def test_few_stops_after_five() -> None:
    assert few("abcde") == "a, b, c, d, e"
    assert few(iter("abcdef")) == "a, b, c, d, e, ..."
