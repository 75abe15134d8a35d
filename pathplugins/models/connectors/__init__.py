"""Connectors: map vision tokens into the language model's embedding space."""

from pathplugins.core.registry import Registry

CONNECTORS = Registry(
    "connector",
    {
        "linear": "pathplugins.models.connectors.mlp:LinearConnector",
        "mlp2x_gelu": "pathplugins.models.connectors.mlp:MLPConnector",
        "gamma_mlp": "pathplugins.models.connectors.mlp:GammaMLPConnector",
        "norm_mlp": "pathplugins.models.connectors.norm_mlp:NormMLPConnector",
        "latent_queries": "pathplugins.models.connectors.latent_queries:LatentQueriesConnector",
        "scale_invariant": "pathplugins.models.connectors.scale_invariant:ScaleInvariantConnector",
        "qformer_mlp": "pathplugins.models.connectors.scale_invariant:ScaleInvariantConnector",
    },
    group="pathplugins.connectors",
)
"""Name -> class built as ``cls(in_features, out_features, **options)``; the options are keyword-only.

Called with tokens ``[..., C]``; a connector whose class says ``across_tiles = True`` is called with the tokens of all
tiles and the number of tiles of each image; one whose class says ``per_image = True`` with ``(tokens [sum N, C],
counts of each image, places of each within its sample)``. ``fixed_tokens`` and ``extra_tokens`` say how many come out,
see `pathplugins.models.custom_llava.connecting`. Other packages add theirs as entry points of
``pathplugins.connectors``.
"""
