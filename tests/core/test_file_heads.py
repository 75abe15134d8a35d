"""What is found in place of data is known by its first bytes, and nothing else is."""

from __future__ import annotations

import pytest

from pathplugins.core.file_heads import stand_in


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git-LFS pointer"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\xef\xbb\xbf\r\n <HTML lang='en'>", "is a web page"),
    ],
)
def test_what_stands_in_place_of_data(head: bytes, said: str) -> None:
    assert (stand_in(head) or "").startswith(f"{said}, ")


@pytest.mark.parametrize("head", [b"", b'{"version": "https://git-lfs"}', b"html", b"\x80\x02", b"#version: 0.2\na b"])
def test_data(head: bytes) -> None:
    assert stand_in(head) is None
