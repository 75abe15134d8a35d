"""Positions of the language model: how many tokens it was made to read, and samples that are longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pathplugins.core.counted import counted

_WIDER = ("yarn", "dynamic", "linear")
"""Kinds of rotary scaling whose factor multiplies the positions; the others' is in ``max_position_embeddings``."""


def positions_of(text_config: Mapping[str, Any] | Any) -> int | None:
    """Return the positions of a language model, those that rotary scaling adds included; None where it has no end.

    Args:
        text_config: of the model, or the content of its ``config.json``.
    """
    settings = text_config if isinstance(text_config, Mapping) else text_config.to_dict()
    most = settings.get("max_position_embeddings")
    scaling = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    kind, original = scaling.get("rope_type", scaling.get("type")), scaling.get("original_max_position_embeddings")
    if kind == "yarn" and original is None:  # it is then the other, in every version
        original = most
    if most is None or original is None or not scaling.get("factor") or kind not in _WIDER:
        return most
    return max(most, int(original * scaling["factor"]))


def too_long(lengths: np.ndarray, text_config: Mapping[str, Any] | Any) -> str | None:
    """Say how many samples are longer than the positions of the language model, and what to do; None where none is.

    Args:
        lengths: [samples] int64, tokens of each, vision tokens included.
        text_config: of the model.
    """
    most = positions_of(text_config)
    over = 0 if most is None else int((lengths > most).sum())
    if not over:
        return None
    return (
        f"{over} of {counted(len(lengths), 'sample')} are longer than the {most:,} positions of the language model, "
        f"the longest {int(lengths.max()):,} tokens: what lies behind means little to it. Show fewer tokens "
        "(patches_per_wsi, a selector, the connector latent_queries), or give it more positions: rope_scaling in the "
        "config.json of the language model, as its authors describe (docs/features.md)"
    )
