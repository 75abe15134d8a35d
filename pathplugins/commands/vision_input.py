"""Tell bags, slides and images apart, and refuse a file that a model cannot read before the model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pathplugins.commands.loading import Reads
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.core.suffixes import SLIDE_SUFFIXES

Kind = Literal["bag", "slide", "image", "unknown"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_IMAGE_OR_SLIDE = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def kind_of(path: Path) -> Kind:
    """Return what a file is, by its first bytes, its suffix and its size in pixels.

    A TIFF is a slide where it holds several pages or more pixels than training takes of an image; a folder is one of
    several files (DICOM, OME-Zarr).
    """
    from PIL import Image

    from pathplugins.data.images import DAMAGE, MAX_PIXELS

    if path.is_dir():
        return "slide"
    with path.open("rb") as stream:
        if stream.read(len(_HDF5)) == _HDF5:
            return "bag"
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES and suffix not in _IMAGE_OR_SLIDE:
        return "slide"
    try:
        with Image.open(path) as image:
            large = image.width * image.height > MAX_PIXELS or getattr(image, "n_frames", 1) > 1
            return "slide" if large and image.format == "TIFF" else "image"
    except Image.DecompressionBombError:
        return "slide"
    except DAMAGE:
        return "unknown"


def check_vision_input(path: Path, option: str, *, reads: Reads, model: str) -> None:
    """Refuse a file that is not there or that is plainly no input of the model.

    Args:
        path: the file.
        option: what it was given with, ``--bag`` or ``--image``, for messages.
        reads: what the model reads.
        model: its directory or hub id, for messages.

    Raises:
        PathPluginsError: the message says what the file is, what the model reads and what to type.
    """
    if not is_file(path):
        wanted = "a bag made with 'pathdata features'" if reads == "bags" else "an image file"
        raise PathPluginsError(f"{option} {path}: no such file; give {wanted}{near_path(path)}")
    if said := misfit(path, reads=reads, model=model):
        raise PathPluginsError(f"{option} {said}")
    if option == "--bag" and reads == "images":
        raise PathPluginsError(f"--bag {path}: {model} reads images, not bags; give it with --image {path}")


def check_slide(path: Path, *, reads: Reads, model: str) -> None:
    """Refuse a path that is no slide, or a slide for a model that reads images.

    Args:
        path: what was given with ``--slide``: a file, or the folder of a slide of several files.
        reads: what the model reads.
        model: its directory or hub id, for messages.

    Raises:
        PathPluginsError: the message says what it is and what to type.
    """
    if not path.exists():
        raise PathPluginsError(f"--slide {path}: no such file; give a slide (`pathdata formats`){near_path(path)}")
    kind = kind_of(path)
    if kind == "bag":
        raise PathPluginsError(f"--slide {path} is a feature bag; give it with --bag {path}")
    if reads == "images":
        if kind == "image":
            raise PathPluginsError(f"--slide {path} is an image, which {model} reads; give it with --image {path}")
        raise PathPluginsError(f"--slide {_slide_for_images(path, model)}")


def misfit(path: Path, *, reads: Reads, model: str) -> str | None:
    """Return why a model cannot read a file that is readable as something else, and what to type; None if it may."""
    kind = kind_of(path)
    if reads == "bags" and kind == "slide":
        return (
            f"{path} is a slide; {model} reads feature bags (H5). Make one with `pathdata run {path} --out work "
            f"--encoder NAME` (`pathdata encoders` lists them) and give work/bags/{path.stem}.h5"
        )
    if reads == "bags" and kind == "image":
        return (
            f"{path} is an image; {model} reads feature bags of slides (H5), which `pathdata run` makes. Give a bag, "
            "or ask a model that reads images"
        )
    if reads == "images" and kind == "bag":
        return (
            f"{path} is a feature bag; {model} reads images (PNG, JPEG, TIFF). Give an image, or ask a model that "
            "reads bags"
        )
    if reads == "images" and kind == "slide":
        return _slide_for_images(path, model)
    return None


def _slide_for_images(path: Path, model: str) -> str:
    return (
        f"{path} is a slide; {model} reads images. Cut patches with `pathdata patch {path} --out work "
        "--save-patches png` and give one of work/patches"
    )
