"""Find tissue on an open slide, by its colours or with a model of the user's own."""

from __future__ import annotations

from ..slides.slide import Slide
from .detect import Detection, TissueSpec, detect_tissue
from .own_model_windows import detect_with_model


def tissue_on_slide(slide: Slide, level0_mpp: float, spec: TissueSpec, shape: tuple[int, int]) -> Detection:
    """Return the tissue of a slide at ``level0_mpp`` microns per pixel, as masks of ``shape`` (H, W)."""
    if spec.model is not None:
        return detect_with_model(slide, level0_mpp, spec.model, spec, shape)
    return detect_tissue(slide.thumbnail(shape[::-1]), level0_mpp * slide.size_px0[0] / shape[1], spec)
