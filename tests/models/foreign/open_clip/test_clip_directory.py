"""The settings of CLIP's image processor, as Transformers reads them."""

from __future__ import annotations

import numpy as np
from PIL import Image
from transformers import CLIPImageProcessor

from pathplugins.models.foreign.open_clip.clip_directory import image_processor


def test_transformers_processes_images_by_them() -> None:
    settings = image_processor(28, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))
    pixels = np.asarray(CLIPImageProcessor(**settings)(Image.new("RGB", (91, 56), (255, 0, 255)))["pixel_values"][0])
    assert pixels.shape == (3, 28, 28)
    np.testing.assert_allclose(pixels[:, 3, 5], [2.0, -1.0, 0.5], rtol=1e-5)
