"""Build vision towers from the options stored in a checkpoint's configuration."""

from __future__ import annotations

from typing import Any

from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT


def longnet_vit(options: dict[str, Any]) -> LongNetViT:
    """The GigaPath slide encoder."""
    return LongNetViT(LongNetConfig(**options))
