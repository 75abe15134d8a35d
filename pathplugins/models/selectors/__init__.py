"""Token selectors: choose which vision tokens the connector sees."""

from pathplugins.core.registry import Registry

_HERE = "pathplugins.models.selectors"

SELECTORS = Registry(
    "token selector",
    {
        "none": f"{_HERE}.keep_all:KeepAll",
        "random_sample": f"{_HERE}.random_sample:RandomSample",
        "prumerge": f"{_HERE}.prumerge:PruMerge",
        "prumerge_adaptive": f"{_HERE}.prumerge:PruMergeAdaptive",
        "prompt_topk": f"{_HERE}.prompt_topk:PromptTopK",
        "stride": f"{_HERE}.even:Stride",
        "linspace": f"{_HERE}.even:Linspace",
        "spatial": f"{_HERE}.even:Spatial",
        "kmeans": f"{_HERE}.k_means:KMeans",
    },
    group="pathplugins.selectors",
)
"""Name -> subclass of `pathplugins.models.selectors.base.TokenSelector`.

Other packages add theirs as entry points of the group ``pathplugins.selectors``.
"""
