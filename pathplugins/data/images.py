"""Image files: their size, whether training can use them, and their pixels as RGB.

Sizes are (w, h). An image that cannot be used is a ``BadImage``, never a grey or blank picture in its place. Pixels are
taken as stored, as the published data code does: EXIF orientation is not applied and an alpha channel is dropped.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.file_heads import GIT_LFS_POINTER
from pathplugins.core.files import is_file

MAX_PIXELS = 16_777_216  # 4096 x 4096; the published PA-LLaVA data preparation leaves larger images out

PathLike = str | os.PathLike[str]
T = TypeVar("T")

_RETRY_WAITS_S = (0.1, 0.5)  # then give up: network file systems stumble for moments, broken files stay broken


DAMAGE = (OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, struct.error)
"""What Pillow raises for damaged files. ``PathPluginsError`` is a ValueError: let it through before these."""


class BadImage(PathPluginsError):
    """An image that cannot be used, with the short ``reason`` it is counted under in a report."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def image_size(path: PathLike) -> tuple[int, int]:
    """Read the size (w, h) of an image in pixels, from the header alone."""
    return on_image(path, lambda image: image.size)


def check_image(path: PathLike, *, max_pixels: int = MAX_PIXELS, decode: bool = True) -> tuple[int, int]:
    """Check that an image file can be trained on.

    Args:
        path: The image file.
        max_pixels: Width times height, at most.
        decode: Read all pixels, which is what finds a truncated file; False reads the header.

    Returns:
        (w, h) in pixels.

    Raises:
        BadImage: Its ``reason`` is ``missing file``, ``Git-LFS pointer``, ``not an image``, ``unreadable file``,
            ``too many pixels``, ``several frames`` or ``unsupported pixels``.
    """

    def check(image: Image.Image) -> tuple[int, int]:
        w, h = image.size
        if w * h > max_pixels:
            raise BadImage(
                f"{os.fspath(path)} is {w} x {h} = {w * h:,} pixels, expected at most {max_pixels:,}; scale it down, "
                "cut it into patches or raise the limit",
                reason="too many pixels",
            )
        _check_kind(image, os.fspath(path))
        if decode:
            to_rgb(image, os.fspath(path))
        return w, h

    return on_image(path, check)


def open_image(path: PathLike) -> Image.Image:
    """Read all pixels of a file as a Pillow RGB image; a read that fails is tried again, then a ``BadImage``."""
    return on_image(path, lambda image: to_rgb(image, os.fspath(path)))


def to_rgb(image: Image.Image, name: str = "the image") -> Image.Image:
    """Convert ``image`` to RGB, or return it if it is; a ``BadImage`` calls it ``name``."""
    _check_kind(image, name)
    image.load()
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours as at once, without Pillow's warning about transparency
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_kind(image: Image.Image, name: str) -> None:
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph and its previews
        raise BadImage(
            f"{name} holds {image.n_frames} frames or pages ({image.format}), expected one image; save the one that is "
            "meant as its own file",
            reason="several frames",
        )
    if image.mode.startswith(("I", "F")):
        raise BadImage(
            f"{name} has pixels of mode {image.mode} (more than 8 bits), of which Pillow would show everything above "
            "255 as white; save it with 8 bits per channel",
            reason="unsupported pixels",
        )


def on_image(path: PathLike, action: Callable[[Image.Image], T]) -> T:
    """Run ``action`` on the open image, again from the start if reading fails.

    Args:
        path: The image file.
        action: Gets the image as Pillow opens it, no pixel read yet; an error that damaged files cause runs it again.

    Raises:
        BadImage: all tries failed, or no try could help.
    """
    waits_s = iter(_RETRY_WAITS_S)
    while True:
        try:
            with _open(Path(path)) as image:
                return action(image)
        except BadImage:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise BadImage(
                f"{os.fspath(path)} has more pixels than Pillow accepts: {error}; scale it down or cut it into patches",
                reason="too many pixels",
            ) from error
        except DAMAGE as error:
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise BadImage(
                    f"{os.fspath(path)} cannot be read ({len(_RETRY_WAITS_S) + 1} tries): {error}; expected a whole "
                    "image file, copy it again",
                    reason="unreadable file",
                ) from error
            time.sleep(wait_s)


def _open(path: Path) -> Image.Image:
    if not is_file(path):
        raise BadImage(f"{path}: no such file; expected an image there", reason="missing file")
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        with path.open("rb") as stream:
            head = stream.read(64)
        if head.startswith(GIT_LFS_POINTER):
            message = f"{path} is a Git-LFS pointer, not the data itself; fetch it with `git lfs pull`"
            raise BadImage(message, reason="Git-LFS pointer") from error
        got = f"it starts with {head[:8]!r}" if head else "it is empty"
        raise BadImage(
            f"{path} is not an image Pillow knows ({got}); expected PNG, JPEG, TIFF or the like, copy it again",
            reason="not an image",
        ) from error
