"""Options of the connector that have keys of their own in training configurations and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONNECTOR_KEYS = {
    "projector_dropout": "dropout",
    "gamma_min": "scale_min",
    "gamma_max": "scale_max",
    "gamma_init": "scale_init",
}
"""Key, as published by WSI-LLaVA -> name of the connector's option."""


def connector_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connector's options among ``given`` keys; a key that is absent or None is left out."""
    return {option: given[key] for key, option in CONNECTOR_KEYS.items() if given.get(key) is not None}
