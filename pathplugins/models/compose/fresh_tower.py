"""Towers that are trained from their first weights: a run that keeps one frozen would look through noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.spec import tower_without_weights
from pathplugins.models.towers import TOWERS


def fresh_tower(parts: Mapping[str, Any]) -> str | None:
    """Return the name of the tower of composed parts if it starts from noise and has something to learn.

    Args:
        parts: fields of `ComposeSpec`, those that were given.
    """
    name = parts.get("vision_model_name")
    if name not in TOWERS or not TOWERS.get(name).starts_fresh or parts.get("vision_tower") is not None:
        return None
    tower = tower_without_weights({"model_type": name, **(parts.get("vision_config") or {})})
    return name if any(True for _ in tower.parameters()) else None


def refuse_frozen(tower: str | None, *, frozen: bool, how: str) -> None:
    """Raise where a fresh tower would stay as it is.

    Args:
        tower: of `fresh_tower`.
        frozen: whether nothing of it is trained.
        how: what to set so that it is trained.
    """
    if tower is not None and frozen:
        raise PathPluginsError(
            f"vision_model_name {tower} starts from random weights and none of them would be trained: {how}, or name "
            "trained ones with vision_tower"
        )
