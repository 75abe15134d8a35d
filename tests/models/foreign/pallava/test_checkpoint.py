"""PA-LLaVA's names of its connector in a whole checkpoint."""

from __future__ import annotations

import torch

from pathplugins.models.foreign.pallava.checkpoint import by_our_names
from pathplugins.weights.names.pallava import PREFIX, to_published

OURS = ["layers.0.attention.query.weight", "layers.1.feed_forward.norm.bias", "mlp.0.weight", "norm.weight"]


def test_the_connector_is_called_as_in_the_model() -> None:
    state = {to_published(name): torch.ones(2) for name in OURS} | {"llm.model.norm.weight": torch.zeros(2)}
    state[f"{PREFIX}bert.embeddings.position_ids"] = torch.arange(3)
    own = ["llm.base_model.model.multi_modal_projector.norm.weight"]
    before = "llm.base_model.model.multi_modal_projector."
    assert by_our_names(state, own).keys() == {"llm.model.norm.weight", *(before + name for name in OURS)}
    assert by_our_names(state, ()).keys() == {"llm.model.norm.weight", *(f"multi_modal_projector.{n}" for n in OURS)}


def test_names_of_others_are_left_alone() -> None:
    state = {"llm.multi_modal_projector.norm.weight": torch.ones(1), "llm.other": torch.ones(1)}
    assert by_our_names(state, state) == state
