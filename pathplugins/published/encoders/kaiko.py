"""Patch encoders of kaiko.ai: five vision transformers of 2024, and Midnight-12k of 2025."""

from __future__ import annotations

from typing import Any

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.sources import HUGGINGFACE, LAZYSLIDE, TRIDENT, as_trident, said_by
from pathplugins.published.preprocessing import HALF, Preprocess

CODE = "https://github.com/kaiko-ai/towards_large_pathology_fms"
MIDNIGHT_CODE = "https://github.com/kaiko-ai/Midnight"
SQUARE_HALF = Preprocess(resize_px=224, crop_px=224, interpolation="bilinear", mean=HALF, std=HALF)


def _row(name: str, what: str, architecture: str, width: int, tokens: int, **more: Any) -> EncoderCard:
    """Return a row with what the five share; their timm form lies on the hub."""
    return EncoderCard(
        name=f"kaiko-{name}",
        what=f"kaiko.ai's {what}",
        architecture=architecture,
        timm_kwargs={"img_size": 224, "dynamic_img_size": True},
        width=width,
        tokens=tokens,
        token_width=width,
        preprocess=SQUARE_HALF,
        frame=as_trident(256),
        precision="float32",
        hub_id=f"1aurent/{architecture}.kaiko_ai_towards_large_pathology_fms",
        hub_file="model.safetensors",
        licence=said_by("Kaiko non-commercial", f"LICENSE of {CODE}", TRIDENT),
        source=CODE,
        checked="its own hubconf.py and README (mean and deviation); bilinear and 256 px as TRIDENT",
        **more,
    )


KAIKO = (
    _row("vits8", "ViT-S/8, DINO", "vit_small_patch8_224", 384, 784),
    _row("vits16", "ViT-S/16, DINO", "vit_small_patch16_224", 384, 196),
    _row("vitb8", "ViT-B/8, DINO", "vit_base_patch8_224", 768, 784),
    _row("vitb16", "ViT-B/16, DINO", "vit_base_patch16_224", 768, 196),
    _row(
        "vitl14",
        "ViT-L/14, DINOv2, 4 registers",
        "vit_large_patch14_reg4_dinov2",
        1024,
        256,
        positions="timm",
        note="positions of 518 px in the file are resized to 224 px, as timm does at every step",
    ),
    EncoderCard(
        name="midnight-12k",
        what="Midnight-12k of kaiko.ai, ViT-g/14, DINOv2",
        architecture="vit_giant_patch14_dinov2",
        timm_kwargs={"img_size": 224, "global_pool": "", "dynamic_img_size": True},
        pool="class+mean",
        width=3072,
        tokens=256,
        token_width=1536,
        positions="plain",
        preprocess=SQUARE_HALF,
        frame=as_trident(224),
        hub_id="kaiko-ai/midnight",
        hub_file="model.safetensors",
        licence=said_by("MIT", f"README of {MIDNIGHT_CODE}", TRIDENT, LAZYSLIDE),
        source=f"{HUGGINGFACE}kaiko-ai/midnight",
        checked="loaders of TRIDENT and LazySlide (Transformers' DINOv2 giant, 1.14 billion weights); bilinear as both",
        note="class token beside the mean of the patch tokens, as LazySlide; TRIDENT's bags hold the class token, 1536",
    ),
)
