"""Tiny models and bags, made once per session."""

from pallava_weights import published, shapes_of
from served_models import bags, minded
from talking_models import slide, talker
from tiny_models import (
    grads,
    load,
    make_llm,
    make_spec,
    make_vlm,
    pack,
    pallava,
    picture,
    processor,
    shared,
    vlm,
    write_h5,
)
from viewed_files import server, viewed

__all__ = [
    "bags",
    "grads",
    "load",
    "make_llm",
    "make_spec",
    "make_vlm",
    "minded",
    "pack",
    "pallava",
    "picture",
    "processor",
    "published",
    "server",
    "shapes_of",
    "shared",
    "slide",
    "talker",
    "viewed",
    "vlm",
    "write_h5",
]
