"""Image files: pixels to JPEG or PNG bytes, samples into a WebDataset tar, a folder replaced as a whole.

Arrays are uint8 ``[H, W, 3]``, RGB.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pathplugins.core.files import replacing, temporary_beside

from ..optional import need

CHROMA = "420"  #: colours at half the resolution, as Pillow and most viewers write them
FASTEST_PNG = 1  #: zlib level up to which speed is what is wanted
LEFT_NEIGHBOUR = 16  #: PNG filter "sub" alone; choosing among all five for each row takes twice as long


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """A JPEG file: byte for byte what Pillow writes where both use libjpeg-turbo, without its two copies."""
    return bytes(need("imagecodecs").jpeg8_encode(pixels, level=quality, subsampling=CHROMA))


def encode_png(pixels: np.ndarray, level: int) -> bytes:
    """A PNG file; ``level`` is zlib's, 0 to 9: 1 takes a third of the time of 6 for files a quarter larger."""
    filters = LEFT_NEIGHBOUR if level <= FASTEST_PNG else None
    return bytes(need("imagecodecs").png_encode(pixels, level=level, filter=filters))


def add_sample(tar: tarfile.TarFile, key: str, parts: Mapping[str, bytes]) -> None:
    """Append a WebDataset sample; ``parts`` are suffix -> content. ``key`` must have no dot: a key ends at the first.

    Members have no times and owners, so that the same samples make the same bytes.
    """
    for suffix, content in parts.items():
        member = tarfile.TarInfo(f"{key}.{suffix}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


@contextmanager
def replacing_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar to fill, at ``path`` when the block ends well and nowhere when it does not."""
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        yield tar


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A sibling folder to fill, renamed to ``path`` when the block ends well and removed when it does not."""
    temporary, old = temporary_beside(path), temporary_beside(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
