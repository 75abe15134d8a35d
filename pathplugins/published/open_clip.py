"""OpenCLIP's architectures and activations: shapes by name, and facts that no shape tells."""

from __future__ import annotations

from dataclasses import dataclass

QUICK_GELU, GELU = "quick_gelu", "gelu"
"""``x sigmoid(1.702 x)`` and ``x Phi(x)``, by Transformers' names. Weights look alike under both."""
ACTIVATIONS = (QUICK_GELU, GELU)
QUICK_SUFFIX = "-quickgelu"
"""Ends OpenCLIP's names of architectures that run quick_gelu; without it they run gelu."""
HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}
"""Width of a vision transformer -> width of its attention heads, where OpenCLIP's model_configs say other than 64."""
USUAL_HEAD_WIDTH = 64
OPENAI = "openai/clip-vit-"
"""Prefix of the hub ids of OpenAI's CLIP, all of which run quick_gelu."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of a vision transformer, all of which its weights tell."""

    width: int
    layers: int
    patch_size: int
    """Pixels."""
    image_size: int
    """Pixels, of a square image."""
    projection_dim: int

    def __str__(self) -> str:
        return (
            f"{self.layers} layers of width {self.width}, patches of {self.patch_size} px, images of {self.image_size} "
            f"px, features of {self.projection_dim}"
        )


ARCHITECTURES = {
    "ViT-B-32": Architecture(width=768, layers=12, patch_size=32, image_size=224, projection_dim=512),
    "ViT-B-16": Architecture(width=768, layers=12, patch_size=16, image_size=224, projection_dim=512),
    "ViT-L-14": Architecture(width=1024, layers=24, patch_size=14, image_size=224, projection_dim=768),
    "ViT-L-14-336": Architecture(width=1024, layers=24, patch_size=14, image_size=336, projection_dim=768),
    "ViT-H-14": Architecture(width=1280, layers=32, patch_size=14, image_size=224, projection_dim=1024),
}
"""By the names of OpenCLIP's model_configs (https://github.com/mlfoundations/open_clip), the source of the numbers."""


def architecture_name(shape: Architecture) -> str | None:
    """Return OpenCLIP's name of a shape, or None for a shape that is not listed."""
    return next((name for name, known in ARCHITECTURES.items() if known == shape), None)
