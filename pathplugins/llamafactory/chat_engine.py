"""LLaMA-Factory's ``ChatModel`` (chat, api, webchat): our models answer about bags and images, and never without one.

``llamafactory.chat`` can be imported before ``llamafactory.data`` is, which the multimodal plugin builds on: it is
imported here when it is needed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file, is_folder
from pathplugins.core.nearest import near_path
from pathplugins.data.images import DAMAGE, to_rgb
from pathplugins.llamafactory.slide_files import bag_of, slide_options
from pathplugins.models.custom_llava.input_files import check_file, kind_of, misfit, reads_of
from pathplugins.models.custom_llava.processing_custom_llava import PLACEHOLDER


def asking_with_images(original: type) -> type:
    """Return LLaMA-Factory's ``HuggingfaceEngine``, which first looks at what our models are asked.

    Every question of every interface becomes model inputs in its ``_process_args``.
    """
    signature = inspect.signature(original._process_args)

    class HuggingfaceEngine(original):
        @functools.wraps(original.__init__)  # its parameters are compared with those we know
        def __init__(self, model_args: Any, *rest: Any, **named: Any) -> None:
            super().__init__(model_args, *rest, **named)
            if is_ours(self.template):
                self.processor.slide_options = slide_options(model_args.slide_options)

        @staticmethod
        @functools.wraps(original._process_args)
        def _process_args(*args: Any, **named: Any) -> Any:
            bound = signature.bind(*args, **named)
            given = bound.arguments
            if is_ours(given["template"]):
                given["images"] = check_asked(given["processor"], given["messages"], given.get("images"))
                given["messages"] = with_placeholders(given["messages"], len(given["images"]))
            return original._process_args(*bound.args, **bound.kwargs)

    return HuggingfaceEngine


def is_ours(template: Any) -> bool:
    """Whether a template of LLaMA-Factory is one that models of ours are asked by."""
    from pathplugins.llamafactory.mm_plugin import PathologyPlugin

    return isinstance(template.mm_plugin, PathologyPlugin)


def with_placeholders(messages: Sequence[Mapping[str, str]], images: int) -> list[dict[str, str]]:
    """Return the messages, with the images in lines of their own before the first where none has a place for them."""
    first, *others = [{**message} for message in messages]
    if not any(PLACEHOLDER in message["content"] for message in messages):
        first["content"] = f"{PLACEHOLDER * images}\n{first['content']}"
    return [first, *others]


def check_asked(processor: Any, messages: Sequence[Mapping[str, str]], images: Sequence[Any] | None) -> list[Any]:
    """Return the images that a model of ours is asked about, as it reads them: of a slide, its bag.

    Args:
        processor: of the model.
        messages: with the key ``content``; the images are put before the first where none has a placeholder.
        images: paths, Pillow images, or whatever else LLaMA-Factory takes as one; None in the place of one that it has
            still to fetch.

    Raises:
        PathPluginsError: there is no image or bag, one cannot be read by the model, or texts and images do not match.
    """
    reads, name = reads_of(processor), str(processor.tokenizer.name_or_path)
    if not images:
        typed = "`/bag FILE` or `/slide FILE`" if reads == "bags" else "`/image FILE`"
        raise PathPluginsError(
            f"{name} reads {reads} and was given none: it would answer from its language model alone. Name one: "
            f"{typed} in chat and webchat, an image_url in a request to the api, images=[...] in Python"
        )
    marks = sum(message["content"].count(PLACEHOLDER) for message in messages)
    if marks not in (0, len(images)):
        raise PathPluginsError(
            f"the messages have {marks} {PLACEHOLDER} but {len(images)} {reads} were given; write one {PLACEHOLDER} "
            "where each belongs, or none at all"
        )
    readable = []
    for image in images:
        if isinstance(image, str | Path):
            image = str(_checked(Path(image), processor, name))
        elif image is not None:
            _check_picture(image, reads, name)
        readable.append(image)
    return readable


def _checked(path: Path, processor: Any, name: str) -> Path:
    """Return a bag or image, or the bag of a slide; refuse what the model cannot read."""
    reads = reads_of(processor)
    if not (is_file(path) or is_folder(path)):
        wanted = "a bag made with `pathdata features`" if reads == "bags" else "an image file"
        raise PathPluginsError(f"{path}: no such file; give {wanted}{near_path(path)}")
    if reads == "bags" and kind_of(path) == "slide":
        path = bag_of(path, name, processor.slide_options)
    if said := misfit(path, reads=reads, model=name):
        raise PathPluginsError(said)
    check_file(processor, path)
    return path


def _check_picture(image: Any, reads: str, name: str) -> None:
    """Refuse a picture that comes as pixels or bytes where bags are read, or that cannot be read itself."""
    from pathplugins.llamafactory.mm_plugin import as_picture

    if reads == "bags":
        raise PathPluginsError(
            f"{name} reads feature bags of slides (H5), not pictures; give the path of a bag made with `pathdata run`"
        )
    try:
        picture = as_picture(image)
        if isinstance(picture, Image.Image):
            to_rgb(picture)
    except PathPluginsError:
        raise
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise PathPluginsError(f"the picture cannot be read ({error}); give a whole PNG or JPEG") from error
