"""Patch encoders of PatchTCGA (PTCGA200): weights handed out by the authors, on no hub."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.licence import Licence
from pathplugins.published.preprocessing import SQUARE_224, SQUARE_224_BILINEAR, Preprocess

SOURCE = "https://github.com/enigmanx20/PatchTCGA"
FRAME = Frame(patch_px=512, mpp=0.39, by=f"README of PatchTCGA, {SOURCE}")
UNNORMALISED = Preprocess(resize_px=224, crop_px=224, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Pixels from 0 to 1."""


def _row(
    name: str,
    method: str,
    what: str,
    architecture: str,
    width: int,
    tokens: int,
    preprocess: Preprocess,
    checked: str,
    **timm_kwargs: int,
) -> EncoderCard:
    """Return a row with what all rows of PatchTCGA share."""
    return EncoderCard(
        name=f"ptcga200-{name}",
        what=what,
        architecture=architecture,
        timm_kwargs=timm_kwargs,
        method=method,
        width=width,
        tokens=tokens,
        token_width=width,
        preprocess=preprocess,
        frame=FRAME,
        local_only=True,
        licence=Licence(shown="weights: not stated"),
        source=SOURCE,
        checked=checked,
        note="whole 200 um patches as in training; its validation cuts 287 of 512 px, which is --mpp 0.5 and 224 px",
    )


RESNET, VIT_S, VIT_L = (
    ("resnet50", 2048, 49),
    ("vit_small_patch16_224", 384, 196),
    ("vit_large_patch16_224", 1024, 196),
)
"""timm's architecture, its width, and the tokens of an image."""
PTCGA200 = (
    _row("supervised", "supervised", "ResNet-50, supervised", *RESNET, SQUARE_224_BILINEAR, "published code"),
    _row("byol", "BYOL", "ResNet-50, BYOL", *RESNET, SQUARE_224_BILINEAR, "published code"),
    _row(
        "moco",
        "MoCo v2",
        "ResNet-50, MoCo v2",
        *RESNET,
        SQUARE_224_BILINEAR,
        "shape only; MoCo's usual normalisation, not looked up",
    ),
    _row(
        "simclr",
        "SimCLR",
        "ResNet-50, SimCLR",
        *RESNET,
        UNNORMALISED,
        "shape only; pixels from 0 to 1 without normalisation, as in the SimCLR code its README names",
    ),
    _row(
        "dino",
        "DINO",
        "ViT-S/16, DINO",
        *VIT_S,
        SQUARE_224,
        "shape only; DINO's usual normalisation, not looked up",
    ),
    _row(
        "mae",
        "MAE",
        "ViT-L/16, MAE",
        *VIT_L,
        SQUARE_224,
        "shape only; MAE's usual normalisation, not looked up",
    ),
    _row(
        "deeplabv3",
        "DeepLabv3",
        "dilated ResNet-50 of DeepLabv3, SegPANDA200",
        *(*RESNET[:2], 784),
        SQUARE_224_BILINEAR,
        "shape only; names and dilation of torchvision's DeepLabv3, normalisation as the published code",
        output_stride=8,
    ),
    _row(
        "mae-seg",
        "MAE segmentation",
        "ViT-L/16 of MAE, segmenting SegPANDA200",
        *VIT_L,
        SQUARE_224,
        "shape only; the encoder of a model without published code, normalisation as of ptcga200-mae",
    ),
)
