"""Asked file: a slide, bag or image that a question is about, checked and ready to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pathplugins.commands.slide_bags import bag_of_slide
from pathplugins.commands.vision_input import check_slide, check_vision_input
from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.slide_options import SlideOptions
from pathplugins.models.custom_llava.input_files import Reads, check_file


class GivenFile(NamedTuple):
    """What is asked about, as it was given; looked at, but not read."""

    option: Literal["--bag", "--image", "--slide"]
    path: Path


class AskedFile(NamedTuple):
    """What is asked about, as it was given and as the model reads it."""

    given: Path
    """The slide, bag or image."""
    path: Path
    """The bag or image."""
    picture: Path | None
    """Of a slide: its tissue and the patches of its bag."""


OneOrMore = str | Path | Sequence[str | Path] | None
"""A file, or those of one case."""


def given_files(
    reads: Reads, model: str, *, bag: OneOrMore = None, image: OneOrMore = None, slide: OneOrMore = None
) -> list[GivenFile]:
    """Return the files that one question is about, of one kind; see `given_file`."""
    kinds = {"bag": bag, "image": image, "slide": slide}
    several = {
        kind: [path] if isinstance(path, str | Path) else list(path or ()) for kind, path in kinds.items() if path
    }
    if len(several) != 1:
        return [given_file(reads, model, **{kind: paths[0] for kind, paths in several.items()})]
    ((kind, paths),) = several.items()
    return [given_file(reads, model, **{kind: path}) for path in paths]


def given_file(
    reads: Reads,
    model: str,
    *,
    bag: str | Path | None = None,
    image: str | Path | None = None,
    slide: str | Path | None = None,
) -> GivenFile:
    """Return the file that a question is about; costs next to nothing.

    Args:
        reads: what the model reads.
        model: its directory or hub id, for messages.
        bag: H5 feature bag of a slide.
        image: image file, or a bag.
        slide: slide file, or the folder of a slide of several files.

    Raises:
        PathPluginsError: none or several were given, or one that is plainly no input of the model.
    """
    given = [
        GivenFile(option, Path(path))
        for option, path in (("--bag", bag), ("--image", image), ("--slide", slide))
        if path is not None
    ]
    if not given:
        raise PathPluginsError(
            f"{model} reads {reads} and was given none: it would answer from its language model alone; "
            f"add {what_to_give(reads)}"
        )
    if len(given) > 1:
        names = {"--bag": "a bag", "--image": "an image", "--slide": "a slide"}
        said = " and ".join(f"{names[option]} ({path})" for option, path in given)
        raise PathPluginsError(f"one question is about one file, got {said}; give one")
    (file,) = given
    if file.option == "--slide":
        check_slide(file.path, reads=reads, model=model)
    else:
        check_vision_input(file.path, file.option, reads=reads, model=model)
    return file


def asked_file(file: GivenFile, processor: Any, slide_options: SlideOptions, *, device: str) -> AskedFile:
    """Return a file as the model reads it, checked; the bag of a slide is made where there is none yet.

    Args:
        file: of `given_file`.
        processor: of the model.
        slide_options: how a slide becomes a bag.
        device: torch's name of the device of the patch encoder, or ``auto``.

    Raises:
        PathPluginsError: the model cannot read it.
    """
    path, picture = file.path, None
    if file.option == "--slide":
        path, picture = bag_of_slide(file.path, processor.image_processor, slide_options, device=device)
    check_file(processor, path)
    return AskedFile(file.path, path, picture)


def what_to_give(reads: Reads) -> str:
    """Return the options that name what a model reads, in words."""
    return "--slide FILE, or --bag FILE.h5" if reads == "bags" else "--image FILE"
