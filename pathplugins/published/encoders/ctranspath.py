"""CTransPath: a Swin whose first layers are convolutions; CHIEF reads its features."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.encoders.sources import LAZYSLIDE, TRIDENT, said_by
from pathplugins.published.preprocessing import SQUARE_224_BILINEAR

CTRANSPATH = (
    EncoderCard(
        name="ctranspath",
        what="CTransPath, Swin-T behind a convolutional stem",
        architecture="swin_tiny_patch4_window7_224",
        timm_kwargs={"embed_layer": "ConvStem"},
        width=768,
        tokens=49,
        token_width=768,
        preprocess=SQUARE_224_BILINEAR,
        frame=Frame(patch_px=256, mpp=1.0, by=TRIDENT),
        precision="float32",
        local_only=True,
        licence=said_by("GPL-3.0", TRIDENT, LAZYSLIDE),
        source="https://github.com/Xiyue-Wang/TransPath",
        checked="TRIDENT's copy of the published code, and its loader",
        note="TRIDENT takes fm_v1/ctranspath/CHIEF_CTransPath.pth of the data set MahmoodLab/hest-bench on the hub",
    ),
)
