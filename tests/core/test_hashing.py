"""Hashes of files are those of all their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pathplugins.core import hashing


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 20])
def test_a_file_is_hashed_whole(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", 7)
    content = bytes(range(size))
    (tmp_path / "file").write_bytes(content)
    assert hashing.fed(hashlib.sha256(), tmp_path / "file").digest() == hashlib.sha256(content).digest()


def test_what_was_fed_before_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"cd")
    assert hashing.fed(hashlib.md5(b"ab"), tmp_path / "file").hexdigest() == hashlib.md5(b"abcd").hexdigest()
