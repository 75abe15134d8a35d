"""Sources that several encoder rows cite."""

from __future__ import annotations

from pathplugins.published.encoder_card import Frame
from pathplugins.published.licence import Licence, Statement

HUGGINGFACE = "https://huggingface.co/"
TRIDENT = "README of TRIDENT, https://github.com/mahmoodlab/TRIDENT"
LAZYSLIDE = "LazySlide, https://github.com/rendeirolab/lazyslide-models"
MODEL_CARD = "model card"


def non_commercial() -> Licence:
    """Return CC-BY-NC-ND-4.0 as model card and TRIDENT state it."""
    return agreed("CC-BY-NC-ND-4.0")


def agreed(licence: str) -> Licence:
    """Return a licence that model card and TRIDENT's table both state."""
    return said_by(licence, MODEL_CARD, TRIDENT)


def as_trident(patch_px: int) -> Frame:
    """Return the frame that TRIDENT advises: ``patch_px`` at 20x."""
    return Frame(patch_px=patch_px, mpp=0.5, by=TRIDENT)


def said_by(licence: str, *sources: str) -> Licence:
    """Return a licence that all of ``sources`` state."""
    return Licence(shown=licence, statements=tuple(Statement(says=licence, by=source) for source in sources))
