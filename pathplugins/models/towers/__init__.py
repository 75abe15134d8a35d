"""Vision towers: turn patches or images into vision tokens."""

from pathplugins.core.registry import Registry

TOWERS = Registry(
    "vision tower",
    {
        "longnet_vit": "pathplugins.models.towers.build:longnet_vit",
        "gigapath": "pathplugins.models.towers.build:longnet_vit",
    },
)
"""Name -> function ``build(options) -> nn.Module`` with the attribute ``hidden_size``."""

TOWER_WEIGHTS = Registry(
    "vision tower",
    {
        "longnet_vit": "pathplugins.models.towers.longnet_checkpoint:read_longnet_vit",
        "gigapath": "pathplugins.models.towers.longnet_checkpoint:read_longnet_vit",
    },
)
"""Name -> function ``load(path, options) -> (all options, state dict)``, which refuses weights that are not whole."""
