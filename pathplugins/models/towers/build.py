"""Build vision towers from the options stored in a checkpoint's configuration."""

from __future__ import annotations

from typing import Any

from torch import nn

from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT


def longnet_vit(options: dict[str, Any]) -> LongNetViT:
    """Build a slide encoder of GigaPath's kind."""
    return LongNetViT(LongNetConfig(**options))


def clip_vision(options: dict[str, Any]) -> nn.Module:
    """Build the vision transformer of CLIP or PLIP."""
    from pathplugins.models.towers.clip_vit import ClipVisionConfig, ClipVisionTower  # Transformers' CLIP is slow

    return ClipVisionTower(ClipVisionConfig(**options))
