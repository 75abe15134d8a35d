"""Refuse a file that a model cannot read before the model is loaded."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.models.custom_llava.input_files import Reads, kind_of, misfit, slide_for_images


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
        raise PathPluginsError(f"--slide {slide_for_images(path, model)}")
