"""Rename the connector in a checkpoint of PA-LLaVA's own training to what it is called in our models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from pathplugins.models.compose.projector import PREFIX
from pathplugins.weights.names import pallava as pallava_names


def by_our_names(state: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """Return weights with the connector named as in the model they are for.

    Args:
        state: name -> weight.
        own: names of the model's weights, which tell what stands before the connector's.
    """
    if not any(name.startswith(pallava_names.PREFIX) for name in state):
        return dict(state)
    before = next((name.split(PREFIX)[0] + PREFIX for name in own if PREFIX in name), PREFIX)
    renamed = {}
    for name, value in state.items():
        bare = name.removeprefix(pallava_names.PREFIX)
        ours = pallava_names.to_ours(bare)
        if bare == name:
            renamed[name] = value
        elif ours is not None:
            renamed[before + ours] = value
    return renamed
