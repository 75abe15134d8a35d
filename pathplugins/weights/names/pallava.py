"""Weights of PA-LLaVA's connector: their published names, ours, and what they tell of its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "projector.model."
"""Before the connector's names in an XTuner checkpoint, PA-LLaVA's as XTuner's own."""

_LINEARS = ("query", "key", "value")
_IN_LAYER = {
    **{f"attention.self.{name}": f"attention.{name}" for name in _LINEARS},
    "attention.output.dense": "attention.dense",
    "attention.output.LayerNorm": "attention.norm",
    **{f"crossattention.self.{name}": f"cross_attention.{name}" for name in _LINEARS},
    "crossattention.output.dense": "cross_attention.dense",
    "crossattention.output.LayerNorm": "cross_attention.norm",
    "intermediate_query.dense": "feed_forward.intermediate",
    "output_query.dense": "feed_forward.dense",
    "output_query.LayerNorm": "feed_forward.norm",
}
"""Published name of a module of a layer -> ours."""
_PUBLISHED = {ours: published for published, ours in _IN_LAYER.items()}
_NOT_WEIGHTS = "bert.embeddings."
"""Beginning of the names of BERT's remaining embeddings: position numbers that nobody reads."""


def is_pallava(state: Mapping[str, Any]) -> bool:
    """Return whether these are the weights of a `scale_invariant` connector, by our names."""
    return any(re.fullmatch(r"layers\.\d+\.attention\.query\.weight", name) for name in state)


def to_ours(name: str) -> str | None:
    """Return our name of a published one without `PREFIX`: an unknown one unchanged, None for what is no weight."""
    if name.startswith(_NOT_WEIGHTS):
        return None
    found = re.fullmatch(r"bert\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
    if found and found[2] in _IN_LAYER:
        return f"layers.{found[1]}.{_IN_LAYER[found[2]]}.{found[3]}"
    return re.sub(r"^mlp\.model\.", "mlp.", name)


def to_published(name: str) -> str:
    """Return the published name, with `PREFIX`, of a weight of the connector."""
    if found := re.fullmatch(r"layers\.(\d+)\.(.+)\.(weight|bias)", name):
        return f"{PREFIX}bert.encoder.layer.{found[1]}.{_PUBLISHED[found[2]]}.{found[3]}"
    return PREFIX + re.sub(r"^mlp\.", "mlp.model.", name)


def published_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options of `scale_invariant` that names (ours) and shapes tell; empty for another connector.

    Whether there is cross-attention is told by its weights alone: the published configuration says there is, and on
    Transformers 4 the published code leaves it out.
    """
    if not is_pallava(state):
        return {}
    layers = {int(name.split(".")[1]) for name in state if name.startswith("layers.")}
    crossing = sorted({int(name.split(".")[1]) for name in state if ".cross_attention." in name})
    options = {
        "num_hidden_layers": len(layers),
        "cross_attention": bool(crossing),
        "projector_depth": len({name.split(".")[1] for name in state if name.startswith("mlp.")}),
    }
    if crossing:
        options["cross_attention_freq"] = crossing[1] if len(crossing) > 1 else len(layers)
    inner = [value.shape[0] for name, value in state.items() if name.endswith(".feed_forward.intermediate.weight")]
    if inner:
        options["intermediate_size"] = inner[0]
    return options
