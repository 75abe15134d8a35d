"""Vision towers: turn patches or images into vision tokens."""

from pathplugins.core.registry import Registry

TOWERS = Registry(
    "vision tower",
    {
        "longnet_vit": "pathplugins.models.towers.build:longnet_vit",
        "gigapath": "pathplugins.models.towers.build:longnet_vit",
        "clip": "pathplugins.models.towers.build:clip_vision",
        "plip": "pathplugins.models.towers.build:clip_vision",
    },
)
"""Name -> function ``build(options) -> nn.Module``.

A tower has the attributes ``hidden_size`` and ``reads``: ``"bags"`` or ``"images"``. One that reads images has
``tile_size`` and ``tokens_per_tile`` too.
"""

READ_IMAGES = ("clip", "plip")
"""Towers that read images; the others read feature bags."""

TOWER_WEIGHTS = Registry(
    "vision tower",
    {
        "longnet_vit": "pathplugins.models.towers.longnet_checkpoint:read_longnet_vit",
        "gigapath": "pathplugins.models.towers.longnet_checkpoint:read_longnet_vit",
        "clip": "pathplugins.models.towers.clip_checkpoint:read_clip",
        "plip": "pathplugins.models.towers.clip_checkpoint:read_plip",
    },
)
"""Name -> function ``load(path, options) -> (all options, state dict)``, which refuses weights that are not whole."""
