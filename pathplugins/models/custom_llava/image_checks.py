"""What an image must be like for a model: the check that runs over every image before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pathplugins.data.bags import check_bag
from pathplugins.data.images import check_image
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor


def image_check(
    image_processor: Any, vision_config: Mapping[str, Any], *, features: bool = True
) -> tuple[Callable[[str], object], str]:
    """What raises for an image the model cannot use, and a text that names the check and its settings.

    Args:
        image_processor: of the model, which says whether images or feature bags are read.
        vision_config: of the model, which says how bags must be.
        features: read all features of a bag, not its shape alone.
    """
    if not isinstance(image_processor, CustomLlavaImageProcessor):
        return check_image, "image"
    rules = {
        "width": vision_config["in_chans"],
        "grid_cells": vision_config["grid_size"],
        "tile_px": vision_config["tile_size"],
        "coords_mpp": image_processor.coords_mpp,
        "features": features,
    }
    return lambda path: check_bag(path, **rules), str(sorted(rules.items()))
