"""Connectors: map vision tokens into the language model's embedding space."""

from pathplugins.core.registry import Registry

CONNECTORS = Registry(
    "connector",
    {
        "linear": "pathplugins.models.connectors.mlp:LinearConnector",
        "mlp2x_gelu": "pathplugins.models.connectors.mlp:MLPConnector",
        "gamma_mlp": "pathplugins.models.connectors.mlp:GammaMLPConnector",
    },
)
"""Name -> class built as ``cls(in_features, out_features, **options)``."""
