"""Request of a conversion: the data set, its options, its source opened, and the image paths to write."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.data.formats import READERS
from pathplugins.data.formats.reading.assembly import Stream
from pathplugins.data.images import MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class Request:
    """The data set to convert, and the options of the conversion."""

    source: Path
    """The file or folder for the reader of the format."""
    out: Path
    """The file to write."""
    format_name: str
    """A name of ``READERS``."""
    to: str | None = None
    """A name of ``WRITERS``; None writes the JSON lines of ``xtuner``."""
    image_folder: Path | None = None
    """Where relative images are looked for first; then beside ``source``. Images in it are written relative to it. With
    None, image paths are copied unchecked, except images that belong to ``source`` (``Stream.beside``), which are
    checked and written relative to the folder of ``out``."""
    image_suffix: str | None = None
    """Replaces the last suffix of every image before it is looked up."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the reader; those that are None are not passed."""
    max_pixels: int = MAX_PIXELS
    """Largest width times height of an image."""
    on_bad: Literal["error", "skip"] = "error"
    """``error`` writes nothing if a row is bad; ``skip`` leaves bad rows out."""
    overwrite: bool = False
    """Replace an entry of ``dataset_info.json`` that says something else."""
    dry_run: bool = False
    """Read and check everything, write nothing."""


def open_stream(request: Request) -> Stream:
    """Open the source of a request.

    Raises:
        PathPluginsError: an option that the format lacks, or no such folder of images.
    """
    reader = READERS.get(request.format_name)
    options = _reader_options(reader, request)
    folder = request.image_folder
    if folder is not None and not folder.is_dir() and not {"extract_images", "extract_to"} & {*options}:
        raise PathPluginsError(
            f"--image-folder {folder}: no such folder; name the folder with the images{near_path(folder)}"
        )
    stream: Stream = reader.stream(request.source, media_dir=folder, **options)
    if folder is None and not stream.beside:
        stream = dataclasses.replace(stream, folders=(), look=False)
    return dataclasses.replace(stream, suffix=request.image_suffix)


def _reader_options(reader: Callable[..., Any], request: Request) -> dict[str, Any]:
    """Return the options that were given.

    Raises:
        PathPluginsError: the format lacks one of them.
    """
    known = inspect.signature(reader).parameters
    given = {name: value for name, value in request.options.items() if value is not None}
    if unknown := [name for name in given if name not in known]:
        has = (
            ", ".join(f"--{name.replace('_', '-')}" for name in request.options if name in known)
            or "none of these options"
        )
        wrong = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
        raise PathPluginsError(
            f"{wrong}: not an option of {request.format_name.replace('_', '-')}, which has {has}; leave it out"
        )
    extracts = "extract_images" in known and request.image_folder is not None and not request.dry_run
    if "extract_to" in known and not request.dry_run:  # all its images are inside, so that there is always a folder
        given["extract_to"] = request.image_folder or request.out.parent / f"{request.format_name}_images"
    return {**given, "extract_images": True} if extracts else given


def checks_images(request: Request, stream: Stream) -> bool:
    """Return whether images are checked."""
    return request.image_folder is not None or stream.beside


def image_paths(request: Request) -> Callable[[str], str]:
    """Return the function that makes an image path relative to the image folder, or to the folder of the output."""
    if request.image_folder is not None:
        inside = f"{request.image_folder.absolute()}{os.sep}"
        return lambda image: image.removeprefix(inside)
    out = os.path.realpath(request.out.parent)  # resolved, because ".." of a link to a folder leads elsewhere

    @functools.lru_cache(2**16)
    def of_folder(folder: str) -> str:
        return os.path.relpath(os.path.realpath(folder), out)

    def of_image(image: str) -> str:
        folder, name = os.path.split(image)
        return os.path.normpath(f"{of_folder(folder)}/{name}")

    return of_image
