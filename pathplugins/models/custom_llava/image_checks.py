"""What an image must be like for a model: the check that runs over every image before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pathplugins.data.bags import check_bag
from pathplugins.data.images import check_image
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor
from pathplugins.models.towers import tower_expects
from pathplugins.published.slide_encoders import GIGAPATH


def image_check(
    image_processor: Any, vision_config: Mapping[str, Any], *, features: bool = True
) -> tuple[Callable[[str], object], str]:
    """Return what raises for an image the model cannot use, and a text that names the check and its settings.

    Args:
        image_processor: of the model, which says whether images or feature bags are read.
        vision_config: of the model, whose tower says how bags must be.
        features: read all features of a bag, not its shape alone.
    """
    if not isinstance(image_processor, CustomLlavaImageProcessor):
        return check_image, "image"
    contract = tower_expects(vision_config)
    options = {"coords_mpp": image_processor.coords_mpp, "features": features}
    # Bags that passed are remembered under this text: another wording would have all of them read again.
    rules = {"width": contract.feature_dim, "grid_cells": contract.grid, "tile_px": contract.tile_px, **options}
    if contract.frame_mpp != GIGAPATH.frame_mpp:
        rules["frame_mpp"] = contract.frame_mpp
    return lambda path: check_bag(path, contract, **options), str(sorted(rules.items()))
