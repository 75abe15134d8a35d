"""Build vision towers from the options stored in a checkpoint's configuration."""

from __future__ import annotations

from typing import Any

from torch import nn

from pathplugins.models.towers.abmil import AbmilTower
from pathplugins.models.towers.abmil_config import AbmilConfig
from pathplugins.models.towers.features import FeaturesTower, PatchMLPTower
from pathplugins.models.towers.features_config import FeaturesConfig, PatchMLPConfig
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT


def longnet_vit(options: dict[str, Any]) -> LongNetViT:
    """Build a slide encoder of GigaPath's kind."""
    return LongNetViT(LongNetConfig(**options))


def features(options: dict[str, Any]) -> nn.Module:
    """Build the tower that gives a bag's features as they are."""
    return FeaturesTower(FeaturesConfig(**options))


def patch_mlp(options: dict[str, Any]) -> nn.Module:
    """Build the tower that maps every patch by itself."""
    return PatchMLPTower(PatchMLPConfig(**options))


def abmil(options: dict[str, Any]) -> nn.Module:
    """Build a slide encoder with gated attention."""
    return AbmilTower(AbmilConfig(**options))


def clip_vision(options: dict[str, Any]) -> nn.Module:
    """Build the vision transformer of CLIP or PLIP."""
    from pathplugins.models.towers.clip_vit import ClipVisionConfig, ClipVisionTower  # Transformers' CLIP is slow

    return ClipVisionTower(ClipVisionConfig(**options))
