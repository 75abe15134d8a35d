"""Files that are no weights are named for what they are, whatever their suffix, and PyTorch's advice is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_tensor, open_weights
from pathplugins.weights.file_kind import kind_of

NO_WEIGHTS = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a Git LFS pointer.*`git lfs pull`"),
    "html": (b"\n<!DOCTYPE html><html><title>Sign in</title>", "an HTML page.*hf auth login"),
    "upper": (b"<HTML><body>Moved", "an HTML page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied", r"an XML answer of a server \(<\?xml.*AccessDenied"),
    "json": (b'{"error": "Access to model x is restricted"}', "a JSON text .*Access to model x is restricted.*hf auth"),
    "text": ("Entry not found, größer".encode(), "a text .Entry not found.*name the weights file"),
    "empty": (b"", "an empty file, not the weights; download it again"),
    "zeros": (b"\0" * 700, "zeros, as of a download that never finished"),
    "gguf": (b"GGUF\3\0\0\0", "a GGUF file of llama.cpp.*safetensors"),
    "gzip": (b"\x1f\x8b\x08\0\0", "a gzip archive.*unpack"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "noise": (bytes(range(160, 250)), "not a (PyTorch|safetensors) file, it begins with"),
}


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".safetensors", ""])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_a_file_without_weights_is_named(tmp_path: Path, kind: str, suffix: str) -> None:
    content, said = NO_WEIGHTS[kind]
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    for read in (open_weights, open_tensor):
        with pytest.raises(CheckpointError, match=rf"w{suffix}: {said}") as error:
            read(path)
        assert "weights_only" not in str(error.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w\.pt: no such file; check the path or download"):
        kind_of(tmp_path / "w.pt")


def test_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    state = {"a": torch.arange(3.0)}
    save_file(state, tmp_path / "a.bin")
    torch.save(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    names = ("a.bin", "a.safetensors", "old.pt")
    assert [kind_of(tmp_path / name) for name in names] == ["safetensors", "archive", "pickle"]
    for name in names:
        assert torch.equal(open_weights(tmp_path / name)["a"], state["a"])
