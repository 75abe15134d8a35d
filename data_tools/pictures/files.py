"""Picture files: encode pixels as JPEG or PNG, write WebDataset tars and folders that are complete or absent.

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
from pathplugins.core.optional import need

CHROMA = "420"  #: colours at half the resolution, as Pillow and most viewers write them
FASTEST_PNG = 1  #: up to this zlib level speed is preferred to size
LEFT_NEIGHBOUR = 16  #: PNG filter "sub" alone; choosing among all five for each row takes twice as long


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Encode a JPEG file: the bytes that Pillow writes where both use libjpeg-turbo, without its two copies."""
    return bytes(need("imagecodecs").jpeg8_encode(pixels, level=quality, subsampling=CHROMA))


def encode_png(pixels: np.ndarray, level: int) -> bytes:
    """Encode a PNG file; ``level`` is zlib's, 0 to 9: 1 takes a third of the time of 6, for files a quarter larger."""
    filters = LEFT_NEIGHBOUR if level <= FASTEST_PNG else None
    return bytes(need("imagecodecs").png_encode(pixels, level=level, filter=filters))


def add_sample(tar: tarfile.TarFile, key: str, files: Mapping[str, bytes]) -> None:
    """Append a WebDataset sample. Members have no times and owners: the same samples make the same bytes.

    Args:
        tar: The tar, open for writing.
        key: Name of the sample, without a dot: WebDataset ends a key at the first one.
        files: Suffix -> content.
    """
    for suffix, content in files.items():
        member = tarfile.TarInfo(f"{key}.{suffix}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


@contextmanager
def replacing_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar to fill; it appears at ``path`` when the block ends well, and nowhere when it does not."""
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        yield tar


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a sibling folder to fill; it becomes ``path`` when the block ends well, and is removed when it does not."""
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
