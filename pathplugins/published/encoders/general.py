"""Encoders of everyday pictures, as eyes to compare with: DINOv2 and SigLIP 2."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.sources import HUGGINGFACE
from pathplugins.published.licence import stated
from pathplugins.published.preprocessing import HALF, Preprocess

APACHE = stated("Apache-2.0", "timm's record of the weights")


def _dinov2(letter: str, architecture: str, width: int) -> EncoderCard:
    return EncoderCard(
        name=f"dinov2-{letter}",
        what=f"DINOv2, ViT-{letter}/14, everyday pictures",
        architecture=architecture,
        timm_kwargs={"img_size": 224, "dynamic_img_size": True},
        width=width,
        tokens=256,
        token_width=width,
        positions="dino",
        preprocess=Preprocess(resize_px=256, crop_px=224),
        hub_id=f"timm/{architecture}.lvd142m",
        hub_file="model.safetensors",
        licence=APACHE,
        source="https://github.com/facebookresearch/dinov2",
        checked="timm (architecture, mean, deviation, licence); 256 px cut to 224 px as Transformers' processor",
        note="positions of 518 px in the file are resized to the input by DINO's rule, as its authors do",
    )


def _siglip2(name: str, architecture: str, side_px: int, width: int) -> EncoderCard:
    return EncoderCard(
        name=f"siglip2-{name}",
        what=f"SigLIP 2, {architecture}, everyday pictures",
        architecture=architecture,
        timm_kwargs={"act_layer": "gelu_tanh"},
        width=width,
        tokens=(side_px // 16) ** 2,
        token_width=width,
        preprocess=Preprocess(resize_px=side_px, crop_px=side_px, mean=HALF, std=HALF),
        hub_id=f"timm/{architecture}.v2_webli",
        hub_file="model.safetensors",
        licence=APACHE,
        source=f"{HUGGINGFACE}google/siglip2-{name}",
        checked="timm (architecture, mean, deviation, licence); activation and whole picture as Transformers",
        note="no class token; reads google/siglip2-* (Transformers' names) as well as timm's file",
    )


GENERAL = (
    _dinov2("b", "vit_base_patch14_dinov2", 768),
    _dinov2("l", "vit_large_patch14_dinov2", 1024),
    _dinov2("g", "vit_giant_patch14_dinov2", 1536),
    _siglip2("base-patch16-224", "vit_base_patch16_siglip_224", 224, 768),
    _siglip2("so400m-patch16-384", "vit_so400m_patch16_siglip_384", 384, 1152),
)
