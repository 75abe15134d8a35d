"""Vision inputs of the model: packed along their first dimension, with a count per image.

Bags: ``patch_features`` [sum N, D], ``patch_coords`` [sum N, 2], ``patch_counts`` [I], ``patch_seeds`` [I].
Images: ``pixel_values`` [T, 3, S, S], an image's thumbnail before its tiles, ``tile_counts`` [I].
Either, where its vision tokens were computed before: ``vision_tokens`` [sum K, H], ``vision_counts`` [I].
"""

from __future__ import annotations

from typing import Any

import torch

PACKED = {"patch_features": "patch_counts", "patch_coords": "patch_counts", "pixel_values": "tile_counts"}
PACKED["vision_tokens"] = "vision_counts"
"""Name -> the input that says how many of its rows each image owns."""
PER_IMAGE = ("patch_counts", "patch_seeds", "tile_counts", "vision_counts")
FILE_INPUTS = ("patch_features", "patch_coords", "patch_counts", "patch_seeds", "pixel_values", "tile_counts")
"""What a processor makes of files, in the order in which `get_image_features` takes them."""
VISION_INPUTS = (*FILE_INPUTS, "vision_tokens", "vision_counts")
"""In the order in which `forward` takes them."""


def take_images(inputs: dict[str, Any], images: list[int]) -> dict[str, Any]:
    """Return the inputs of these images, in this order; what is None stays None."""
    taken = dict(inputs)
    for name, counts in PACKED.items():
        if inputs.get(name) is not None:
            rows = inputs[name].split(inputs[counts].tolist())
            taken[name] = torch.cat([rows[image] for image in images])
    for name in PER_IMAGE:
        if inputs.get(name) is not None:
            taken[name] = inputs[name][images]
    return taken
