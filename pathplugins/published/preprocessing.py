"""Preprocessing of patches: sizes, interpolation, and mean and standard deviation of ImageNet and of CLIP."""

from __future__ import annotations

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation that bring pixels from [0, 1] to [-1, 1], as Inception and SigLIP take them."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of RGB in [0, 1], as published with OpenAI's CLIP (https://github.com/openai/CLIP)."""
ASPECT_RATIOS = ("anyres", "pad", "square")
"""LLaVA's names of what an image becomes: thumbnail and tiles, all of it on a square, its middle (CLIP's own way)."""


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Steps that turn a patch into an encoder's input."""

    resize_px: int
    """Side the patch is resized to."""
    crop_px: int
    """Side of the central crop of the resized patch: the encoder's input."""
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Mean of RGB in [0, 1]."""
    std: tuple[float, ...] = IMAGENET_STD


SQUARE_224 = Preprocess(resize_px=224, crop_px=224)
SQUARE_224_BILINEAR = Preprocess(resize_px=224, crop_px=224, interpolation="bilinear")


def clip_square(side_px: int) -> Preprocess:
    """Return CLIP's preprocessing for square images of ``side_px`` pixels."""
    return Preprocess(resize_px=side_px, crop_px=side_px, mean=CLIP_MEAN, std=CLIP_STD)
