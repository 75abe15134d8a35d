"""What the readers of slides raise for damaged files: each meets the damage wherever it believes what the file says."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from .errors import SlideError

FAULTS = (
    *(ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(SyntaxError, struct.error, zlib.error),  # of XML, of numbers, of compressed tiles
)


@contextmanager
def faults_named(path: Path, *, doing: str) -> Iterator[None]:
    """Raise a `SlideError` that names the file and what was being done, for a fault met inside the block."""
    try:
        yield
    except PathPluginsError:
        raise
    except MemoryError as error:
        raise SlideError(
            f"{path}: {doing} asks for more memory than there is; the file is damaged: copy it again, or leave it out"
        ) from error
    except (*FAULTS, *_of_openslide()) as error:
        raise SlideError(
            f"{path}: {doing} failed ({type(error).__name__}: {error}); the file is damaged, or of a kind that its "
            "reader does not know: copy it again, or leave it out"
        ) from error


def _of_openslide() -> tuple[type[Exception], ...]:
    """Return the error of OpenSlide where it is in use, without importing it."""
    openslide = sys.modules.get("openslide")
    return () if openslide is None else (openslide.OpenSlideError,)
