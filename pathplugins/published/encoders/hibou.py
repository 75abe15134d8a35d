"""Patch encoders of HistAI: Hibou-B and Hibou-L, DINOv2 with gated layers and registers."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.sources import LAZYSLIDE, TRIDENT, as_trident, said_by
from pathplugins.published.preprocessing import Preprocess

CODE = "https://github.com/HistAI/hibou"
PREPROCESS = Preprocess(resize_px=224, crop_px=224, mean=(0.7068, 0.5755, 0.722), std=(0.195, 0.2316, 0.1816))


def _row(letter: str, architecture: str, mlp_ratio: float, width: int) -> EncoderCard:
    """Return a row; both differ in nothing but their size."""
    return EncoderCard(
        name=f"hibou-{letter.lower()}",
        what=f"Hibou-{letter}, ViT-{letter}/14 with gated layers, 4 registers",
        architecture=architecture,
        timm_kwargs={
            "img_size": 224,
            "init_values": 1e-5,
            "mlp_ratio": mlp_ratio,
            "mlp_layer": "SwiGLUPacked",
            "act_layer": "silu",
            "dynamic_img_size": True,
        },
        width=width,
        tokens=256,
        token_width=width,
        positions="timm",
        preprocess=PREPROCESS,
        frame=as_trident(224),
        precision="float32",
        hub_id=f"histai/hibou-{letter}",
        hub_file="model.safetensors",
        licence=said_by("Apache-2.0", f"README of {CODE}", TRIDENT, LAZYSLIDE),
        gated=True,
        source=CODE,
        checked="its own code (layers, registers, positions); constants and class token as TRIDENT and LazySlide",
    )


HIBOU = (
    _row("B", "vit_base_patch14_reg4_dinov2", 5.33334, 768),
    _row("L", "vit_large_patch14_reg4_dinov2", 5.34375, 1024),
)
