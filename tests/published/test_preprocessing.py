"""Preprocessing: the constants of CLIP as both libraries have them."""

import pytest

from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, clip_square


def test_mean_and_std_are_those_of_the_libraries() -> None:
    constants = pytest.importorskip("timm.data.constants")
    assert (constants.OPENAI_CLIP_MEAN, constants.OPENAI_CLIP_STD) == (CLIP_MEAN, CLIP_STD)
    assert (constants.IMAGENET_DEFAULT_MEAN, constants.IMAGENET_DEFAULT_STD) == (IMAGENET_MEAN, IMAGENET_STD)
    transformers = pytest.importorskip("transformers.image_utils")
    assert (tuple(transformers.OPENAI_CLIP_MEAN), tuple(transformers.OPENAI_CLIP_STD)) == (CLIP_MEAN, CLIP_STD)


def test_clip_takes_the_whole_square() -> None:
    made = clip_square(336)
    assert (made.resize_px, made.crop_px, made.interpolation, made.mean) == (336, 336, "bicubic", CLIP_MEAN)
