"""Write the settings files of a CLIP directory of Transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD

BICUBIC = 3
"""Pillow's number."""


def image_processor(side: int, *, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> dict[str, Any]:
    """Return ``preprocessor_config.json`` of CLIP: shorter edge to ``side`` pixels, the middle cut out, normalised."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": list(mean),
        "image_std": list(std),
        "resample": BICUBIC,
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
    }
