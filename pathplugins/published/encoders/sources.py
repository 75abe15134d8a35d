"""Sources that several encoder rows cite."""

from __future__ import annotations

from pathplugins.published.encoder_card import Frame
from pathplugins.published.licence import Licence, Statement

HUGGINGFACE = "https://huggingface.co/"
TRIDENT = "README of TRIDENT, https://github.com/mahmoodlab/TRIDENT"
MODEL_CARD = "model card"


def non_commercial() -> Licence:
    """Return CC-BY-NC-ND-4.0 as model card and TRIDENT state it."""
    return agreed("CC-BY-NC-ND-4.0")


def agreed(licence: str) -> Licence:
    """Return a licence that model card and TRIDENT's table both state."""
    return Licence(
        shown=licence,
        statements=(Statement(says=licence, by=MODEL_CARD), Statement(says=licence, by=TRIDENT)),
    )


def as_trident(patch_px: int) -> Frame:
    """Return the frame that TRIDENT advises: ``patch_px`` at 20x."""
    return Frame(patch_px=patch_px, mpp=0.5, by=TRIDENT)
