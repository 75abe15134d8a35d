"""Tell by its first bytes what a file is, and refuse by name what holds no weights."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import CheckpointError
from pathplugins.core.file_heads import GIT_LFS_POINTER, WEB_PAGES

Kind = Literal["safetensors", "archive", "pickle"]
"""A safetensors file, PyTorch's zip archive, or the pickle that PyTorch wrote before version 1.6."""

_HEAD_BYTES = 512
_AGAIN = "download it again"
_GATED = "log in (hf auth login), accept the terms of a gated model in the browser, and download it again"
_OTHERS = {
    b"GGUF": ("a GGUF file of llama.cpp", "give the safetensors it was made from"),
    b"\x89HDF": ("an HDF5 file", "give .safetensors, .pt, .pth or .bin"),
    b"\x1f\x8b": ("a gzip archive", "unpack it first (gunzip or tar -xzf)"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"\xfd7zXZ": ("an xz archive", "unpack it first"),
    b"BZh": ("a bzip2 archive", "unpack it first"),
    b"%PDF": ("a PDF", "give .safetensors, .pt, .pth or .bin"),
    b"\x89PNG": ("a PNG image", "give .safetensors, .pt, .pth or .bin"),
    b"\xff\xd8\xff": ("a JPEG image", "give .safetensors, .pt, .pth or .bin"),
}
"""First bytes -> what the file is, and the next step."""


def kind_of(path: Path) -> Kind:
    """Return which reader a file is for.

    Raises:
        CheckpointError: There is no such file, or it holds no weights; the message names what it is instead.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path or download the weights first")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "archive"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:
        return "safetensors"
    what, step = _what(head)
    if what:
        raise CheckpointError(f"{path}: {what}, not the weights; {step}")
    if path.suffix == ".safetensors":
        raise CheckpointError(f"{path}: not a safetensors file, it begins with {head[:16]!r}; {_AGAIN}")
    if not head.startswith(b"\x80"):
        raise CheckpointError(f"{path}: not a PyTorch file, it begins with {head[:16]!r}; {_AGAIN}")
    return "pickle"


def _what(head: bytes) -> tuple[str, str]:
    """Return what a file is that begins with ``head``, and the next step; empty where it may be weights."""
    if not head:
        return "an empty file", f"{_AGAIN}"
    if head.startswith(GIT_LFS_POINTER):
        return "a Git LFS pointer", "run `git lfs pull` where it was cloned"
    if not head.strip(b"\0"):
        return "zeros, as of a download that never finished", _AGAIN
    for magic, found in _OTHERS.items():
        if head.startswith(magic):
            return found
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head).lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        return "", ""
    if not text or not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return "", ""
    shown = " ".join(text.split())[:80]
    if text[:14].lower().encode().startswith(WEB_PAGES):
        return "an HTML page (the login page of a site, say)", _GATED
    if text.startswith("<"):
        return f"an XML answer of a server ({shown})", _GATED
    if text.startswith(("{", "[")):
        return f"a JSON text ({shown})", f"name the weights file; where a server answered with it, {_GATED}"
    return f"a text ({shown})", f"name the weights file; where a server answered with it, {_GATED}"
