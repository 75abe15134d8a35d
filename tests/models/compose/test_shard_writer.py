"""Shards of bounded size, and nothing under a final name when the writing fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pathplugins.core.files import read_json
from pathplugins.models.compose.shard_writer import ShardWriter
from pathplugins.weights.model_folder import INDEX, weight_files


def test_shards_are_filled_to_their_size(tmp_path: Path) -> None:
    """Tensors of 40 bytes in shards of 100: two each, one larger than a shard by itself."""
    state = {f"t{number}": torch.full((10,), float(number)) for number in range(5)} | {"big": torch.ones(5, 10).T}
    with ShardWriter(tmp_path / "out", shard_bytes=100) as writer:
        for name, value in state.items():
            writer.add(name, value)
    files = weight_files(tmp_path / "out")
    assert [path.name for path in files] == [f"model-{n:05d}-of-00004.safetensors" for n in (1, 2, 3, 4)]
    assert [sorted(load_file(path)) for path in files] == [["t0", "t1"], ["t2", "t3"], ["t4"], ["big"]]
    assert all(torch.equal(load_file(path)[name], state[name]) for path in files for name in load_file(path))
    index = read_json(tmp_path / "out" / INDEX)
    assert index["metadata"]["total_size"] == 5 * 40 + 200
    assert index["weight_map"]["t3"] == files[1].name
    assert {path.name for path in (tmp_path / "out").iterdir()} == {INDEX, *(path.name for path in files)}


def test_one_shard_needs_no_index(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.add("a", torch.ones(4, 6).T)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert torch.equal(load_file(tmp_path / "model.safetensors")["a"], torch.ones(6, 4))


def broken(folder: Path) -> None:
    with ShardWriter(folder, shard_bytes=4) as writer:
        writer.add("a", torch.ones(4))
        writer.add("b", torch.ones(4))
        raise RuntimeError("stop")


def test_a_failure_leaves_no_model(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        broken(tmp_path)
    assert not list(tmp_path.glob("[!.]*"))
