"""Convolutional patch encoders."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.sources import HUGGINGFACE, TRIDENT, as_trident
from pathplugins.published.licence import stated
from pathplugins.published.preprocessing import SQUARE_224_BILINEAR

CONVOLUTIONAL = (
    EncoderCard(
        name="resnet50-clam",
        what="ResNet-50 of ImageNet, first three stages",
        architecture="resnet50",
        timm_kwargs={"features_only": True, "out_indices": (3,)},
        pool="map mean",
        unused=("layer4.",),
        width=1024,
        tokens=196,
        token_width=1024,
        preprocess=SQUARE_224_BILINEAR,
        frame=as_trident(256),
        precision="float32",
        hub_id="timm/resnet50.tv_in1k",
        hub_file="model.safetensors",
        licence=stated("BSD-3-Clause", TRIDENT),
        source=f"{HUGGINGFACE}timm/resnet50.tv_in1k",
        checked="loaders of CLAM and TRIDENT agree",
        note="ImageNet, cut after the third stage, as CLAM's resnet50_trunc",
    ),
)
