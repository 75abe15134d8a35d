"""LLaVA v1.5: the language models, towers and file layouts that PathGen-LLaVA inherits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LlavaRelease:
    """One way of building LLaVA that a published model follows."""

    name: str
    language_model: str
    """Hub id."""
    vision_tower: str
    """Hub id, or the name of a row of ``pathgen_clip``."""
    connector: str
    """Our name of it."""
    select_layer: int
    """Hidden state of the tower that is read."""
    image_tokens: int
    """Vision tokens an image takes."""
    image_aspect_ratio: str
    code: str
    """Repository and commit of the training code."""


LLAVA_CODE = "https://github.com/haotian-liu/LLaVA at c121f04"
LLAVA_7B = LlavaRelease(
    name="LLaVA v1.5 7B",
    language_model="lmsys/vicuna-7b-v1.5",
    vision_tower="openai/clip-vit-large-patch14-336",
    connector="mlp2x_gelu",
    select_layer=-2,
    image_tokens=576,
    image_aspect_ratio="pad",
    code=LLAVA_CODE,
)
PATHGEN_LLAVA = LlavaRelease(
    name="PathGen-LLaVA",
    language_model="lmsys/vicuna-13b-v1.5",
    vision_tower="pathgen-clip-l",
    connector="mlp2x_gelu",
    select_layer=-2,
    image_tokens=576,
    image_aspect_ratio="pad",
    code=LLAVA_CODE,
)
