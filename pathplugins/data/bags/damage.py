"""What h5py raises for damaged files, whichever step of reading meets the damage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.endless import endless

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""``PathPluginsError`` is a ValueError: let it through before these.

Names that are no UTF-8, and numbers that NumPy has no type for, are ValueErrors; types and attributes of no known kind
are TypeErrors; for all else it is one of the first three.
"""


@contextmanager
def damage_named(path: Path, *, then: str) -> Iterator[None]:
    """Raise a `PathPluginsError` that names the file, and what to do ``then``, for damage met inside the block.

    A file from which the HDF5 library would never come back is refused before (see `pathplugins.data.endless`).
    """
    if said := endless(path):
        raise PathPluginsError(f"{path}: not a readable HDF5 file ({said}); {then}")
    try:
        yield
    except PathPluginsError:
        raise
    except DAMAGE as error:
        raise PathPluginsError(f"{path}: not a readable HDF5 file ({error}); {then}") from error
