"""Patch encoders of PatchTCGA (PTCGA200): weights handed out by the authors, on no hub."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.licence import Licence
from pathplugins.published.preprocessing import SQUARE_224, SQUARE_224_BILINEAR, Preprocess

SOURCE = "https://github.com/enigmanx20/PatchTCGA"
FRAME = Frame(patch_px=512, mpp=0.39, by=f"README of PatchTCGA, {SOURCE}")
UNNORMALISED = Preprocess(resize_px=224, crop_px=224, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Pixels from 0 to 1."""


def _row(name: str, what: str, architecture: str, width: int, preprocess: Preprocess, checked: str) -> EncoderCard:
    """Return a row with what all rows of PatchTCGA share."""
    return EncoderCard(
        name=f"ptcga200-{name}",
        what=what,
        architecture=architecture,
        width=width,
        preprocess=preprocess,
        frame=FRAME,
        local_only=True,
        licence=Licence(shown="weights: not stated"),
        source=SOURCE,
        checked=checked,
        note="whole 200 um patches as in training; its validation cuts 287 of 512 px, which is --mpp 0.5 and 224 px",
    )


PTCGA200 = (
    _row("supervised", "ResNet-50, supervised", "resnet50", 2048, SQUARE_224_BILINEAR, "published code"),
    _row("byol", "ResNet-50, BYOL", "resnet50", 2048, SQUARE_224_BILINEAR, "published code"),
    _row(
        "moco",
        "ResNet-50, MoCo v2",
        "resnet50",
        2048,
        SQUARE_224_BILINEAR,
        "shape only; MoCo's usual normalisation, not looked up",
    ),
    _row(
        "simclr",
        "ResNet-50, SimCLR",
        "resnet50",
        2048,
        UNNORMALISED,
        "shape only; pixels from 0 to 1 without normalisation, as in the SimCLR code its README names",
    ),
    _row(
        "dino",
        "ViT-S/16, DINO",
        "vit_small_patch16_224",
        384,
        SQUARE_224,
        "shape only; DINO's usual normalisation, not looked up",
    ),
    _row(
        "mae",
        "ViT-L/16, MAE",
        "vit_large_patch16_224",
        1024,
        SQUARE_224,
        "shape only; MAE's usual normalisation, not looked up",
    ),
)
