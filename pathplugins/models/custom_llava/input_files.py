"""Files that a model is asked about: bags, slides and images told apart, and refused where it cannot read them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.suffixes import SLIDE_SUFFIXES

Kind = Literal["bag", "slide", "image", "unknown"]
Reads = Literal["bags", "images"]

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
        return slide_for_images(path, model)
    return None


def slide_for_images(path: Path, model: str) -> str:
    """Say how a model of images can be asked about a slide."""
    return (
        f"{path} is a slide; {model} reads images. Cut patches with `pathdata patch {path} --out work "
        "--save-patches png` and give one of work/patches"
    )


def reads_of(processor: Any) -> Reads:
    """Return whether a processor reads ``bags`` or ``images``."""
    return "bags" if hasattr(processor.image_processor, "patches_per_wsi") else "images"


def check_file(processor: Any, path: Path) -> None:
    """Refuse a damaged file and one of another encoder, and a bag by every rule that training has for it.

    A file that passed is not read again while it stays as it is.

    Raises:
        PathPluginsError: with the file, and what is wrong with it.
    """
    found = path.stat()
    _check_once(processor, path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _check_once(processor: Any, path: Path, *stamp: int) -> None:
    from pathplugins.models.custom_llava.image_checks import image_check  # imports torch, which no message needs

    del stamp  # part of the key: a file written anew is looked at anew
    processor.num_image_tokens(path)
    check, _ = image_check(processor.image_processor, {})
    check(str(path))
