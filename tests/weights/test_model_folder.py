"""Weights of a Hugging Face directory: the files that Transformers loads, and what their index lists."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.weights import open_weights
from pathplugins.weights.model_folder import BIN_INDEX, INDEX, checkpoint_files, folder_weights, weight_files

STATE = {"a.x": torch.arange(3.0), "b.x": torch.ones(2, 2)}


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


def test_shards_of_safetensors_hold_what_the_index_lists(tmp_path: Path) -> None:
    save_file({"a.x": STATE["a.x"], "lm_head": torch.ones(1)}, tmp_path / "linked-1.safetensors")
    save_file({"b.x": STATE["b.x"]}, tmp_path / "linked-2.safetensors")
    weight_map = {"a.x": "linked-1.safetensors", "b.x": "linked-2.safetensors"}
    write_json(tmp_path / INDEX, {"weight_map": weight_map})
    weights = open_weights(tmp_path)
    assert sorted(weights) == ["a.x", "b.x"]
    assert torch.equal(weights["b.x"], STATE["b.x"])
    write_json(tmp_path / INDEX, {"weight_map": {**weight_map, "c.x": "linked-2.safetensors"}})
    with pytest.raises(CheckpointError, match=rf"1 of the 3 weights that {INDEX} names are in none of its files: c\.x"):
        open_weights(tmp_path)


def test_bin_whole_or_in_shards(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nor shards of one \(found nothing\); finish the download"):
        checkpoint_files(tmp_path)
    torch.save({"a.x": STATE["a.x"]}, tmp_path / "pytorch_model-1.bin")
    torch.save({"b.x": STATE["b.x"]}, tmp_path / "pytorch_model-2.bin")
    files = {"a.x": "pytorch_model-1.bin", "b.x": "pytorch_model-2.bin"}
    write_json(tmp_path / BIN_INDEX, {"weight_map": files})
    assert all(torch.equal(open_weights(tmp_path)[name], value) for name, value in STATE.items())
    (tmp_path / BIN_INDEX).unlink()
    torch.save(STATE, tmp_path / "pytorch_model.bin")
    assert open_weights(tmp_path).names() == list(STATE)
    save_file({"c": torch.ones(1)}, tmp_path / "model.safetensors")
    assert open_weights(tmp_path).names() == ["c"], "safetensors come first"


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_an_index_of_another_kind_is_refused(tmp_path: Path, index: str) -> None:
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json: weight_map is no object"):
        folder_weights(tmp_path)
