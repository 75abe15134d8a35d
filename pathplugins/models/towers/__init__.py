"""Vision towers: turn patches or images into vision tokens."""

from pathplugins.core.registry import Registry

TOWERS = Registry(
    "vision tower",
    {
        "longnet_vit": "pathplugins.models.towers.build:longnet_vit",
        "gigapath": "pathplugins.models.towers.build:longnet_vit",
    },
)
"""Name -> function ``build(config: dict) -> nn.Module`` with the attribute ``hidden_size``."""
