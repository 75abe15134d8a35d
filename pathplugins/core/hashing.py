"""Hash files block by block, whatever their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_BLOCK_BYTES = 2**22


def fed(digest: Any, path: Path) -> Any:
    """Feed the bytes of a file to ``digest``, a hash object of `hashlib`, and return it."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest
