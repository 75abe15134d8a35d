"""Token selectors: choose which vision tokens the connector sees."""

from pathplugins.core.registry import Registry

SELECTORS = Registry(
    "token selector",
    {
        "none": "pathplugins.models.selectors.keep_all:KeepAll",
        "random_sample": "pathplugins.models.selectors.random_sample:RandomSample",
    },
)
"""Name -> subclass of `pathplugins.models.selectors.base.TokenSelector`."""
