"""PyTorch's zip archives: only what is asked for is read, and whatever is missing or damaged is noticed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights
from pathplugins.weights.torch_archive import archive_content


def read(path: Path) -> dict[str, Tensor]:
    return dict(open_weights(path))


def state() -> dict[str, Tensor]:
    return {"a": torch.arange(42.0).view(6, 7), "b": torch.ones(3, dtype=torch.bfloat16)}


def damaged(path: Path, value: Tensor, at: int) -> None:
    """Change one byte of a tensor's values."""
    whole = path.read_bytes()
    at += whole.index(value.numpy().tobytes())
    path.write_bytes(whole[:at] + b"\x7f" + whole[at + 1 :])


def test_only_what_is_asked_for_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = {"good": torch.arange(5000.0), "bad": torch.ones(7000)}
    torch.save(state, path)
    damaged(path, state["bad"], 9000)
    weights = open_weights(path)
    assert torch.equal(weights["good"], state["good"])
    with pytest.raises(
        CheckpointError, match=r"a\.pth: not a whole PyTorch file \(storage 1 differs from its checksum"
    ):
        weights["bad"]


def test_of_one_storage_under_many_names_each_reads_its_own_part(tmp_path: Path) -> None:
    """DeepSpeed's weights are views of one buffer, of 8 B parameters 16 GB: it is checked once and never held."""
    flat = torch.arange(600.0)
    views = {f"w{n}": flat[100 * n : 100 * n + 99].view(9, 11) for n in range(6)}
    path = tmp_path / "mp_rank_00_model_states.pt"
    torch.save({"module": views}, path)
    weights = open_weights(path)
    assert all(torch.equal(weights[name], value) for name, value in views.items())
    assert weights["w3"].untyped_storage().nbytes() == 99 * 4
    damaged(path, flat, 4 * 599)
    with pytest.raises(CheckpointError, match="storage 0 differs from its checksum"):
        open_weights(path)["w0"]


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The archive with other entries; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda name, data: None if name.endswith("data.pkl") else data, "a zip archive that torch.save did not write"),
        (lambda name, data: None if name.endswith("/data/1") else data, r"storage 1 is missing\); download or copy"),
        (lambda name, data: data[:4] if name.endswith("/data/1") else data, "storage 1 has 4 bytes, at least 6 wanted"),
        (lambda name, data: b"" if name.endswith("/data/1") else data, "storage 1 has 0 bytes, at least 6 wanted"),
        (lambda name, data: b"big" if name.endswith("byteorder") else data, "written on a big-endian machine"),
    ],
    ids=["no pickle", "no storage", "short storage", "empty storage", "byte order"],
)
def test_archives_with_something_missing(tmp_path: Path, change: Callable[..., bytes | None], reason: str) -> None:
    torch.save(state(), tmp_path / "a.pth")
    rewritten(tmp_path / "a.pth", change)
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        if not any(name.endswith("byteorder") for name in archive.namelist()) and "endian" in reason:
            pytest.skip("written by torch before 2.1, without the byte order")
    with pytest.raises(CheckpointError, match=rf"a\.pth: .*{reason}"):
        read(tmp_path / "a.pth")


def test_an_archive_packed_again_with_compression_is_read(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    got = read(tmp_path / "a.pth")
    assert all(torch.equal(got[name], value) for name, value in state().items())


def test_a_torchscript_program_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt: a TorchScript program, not weights"):
        open_weights(tmp_path / "a.pt")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "log": Path("x")}, tmp_path / "a.pth")
    whole = (tmp_path / "a.pth").read_bytes()
    for length in [5, *range(50, len(whole), 197), len(whole) - 1]:
        (tmp_path / "a.pth").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file .*download or copy it again"):
            read(tmp_path / "a.pth")


@pytest.mark.parametrize("place", [2**64 - 1, 2**62, 2000])
def test_a_directory_that_names_no_place_in_the_file_is_damage(tmp_path: Path, place: int) -> None:
    torch.save({"state_dict": state()}, tmp_path / "a.pth")
    whole = bytearray((tmp_path / "a.pth").read_bytes())
    end = whole.rindex(b"PK\x06\x06")
    whole[end + 48 : end + 56] = place.to_bytes(8, "little")
    (tmp_path / "a.pth").write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file"):
        read(tmp_path / "a.pth")


def test_a_pickle_cut_anywhere_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "log": [np.arange(2.0), Path("x")]}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as archive:
        pickled = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for length in range(0, len(pickled), 7):
        with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
            archive.writestr("a/data.pkl", pickled[:length])
        with pytest.raises(CheckpointError, match=r"a\.pth: not a whole PyTorch file"):
            archive_content(tmp_path / "a.pth")
