"""Rows of the patch encoders: each builds the model it describes."""

import pytest

from pathplugins.data_tools.encoders.build import build_model
from pathplugins.data_tools.encoders.pooling import feature_width
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders import CARDS
from pathplugins.published.preprocessing import Preprocess

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")

BY_NAME = {card.name: card for card in CARDS}

PUBLISHED = {
    "gigapath": 1_134_953_984,
    "uni": 303.35e6,
    "uni2-h": 681.39e6,
    "virchow": 631.2e6,
    "virchow2": 631.2e6,
    "h-optimus-0": 1.13e9,
    "phikon-v2": 303.35e6,
    "plip": 87.8e6,
}
"""Parameters as published, but for gigapath, which was counted."""


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_build_what_they_say(card: EncoderCard) -> None:
    with torch.device("meta"):
        model = build_model(card)
    assert feature_width(card.pool, model) == card.width
    if card.name in PUBLISHED:
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(PUBLISHED[card.name], rel=0.005)
    assert card.source.startswith("https://")
    assert card.checked
    assert card.local_only == (card.hub_id is None)
    assert (card.hub_file is None) == (card.hub_id is None)
    assert card.preprocess is not None


def test_gigapath_is_the_published_model() -> None:
    card = BY_NAME["gigapath"]
    with torch.device("meta"):
        model = build_model(card)
    assert sum(p.numel() for p in model.parameters()) == 1_134_953_984  # counted here
    assert model.patch_embed.patch_size == (16, 16)
    assert card.preprocess == Preprocess(resize_px=256, crop_px=224)
    assert card.gated


def test_registers_and_epsilons_are_those_of_the_cards() -> None:
    with torch.device("meta"):
        models = {name: build_model(BY_NAME[name]) for name in ("virchow", "virchow2", "uni2-h", "plip", "phikon")}
    prefixes = {name: model.num_prefix_tokens for name, model in models.items()}
    assert prefixes == {"virchow": 1, "virchow2": 5, "uni2-h": 9, "plip": 1, "phikon": 1}
    assert (models["plip"].norm.eps, models["phikon"].norm.eps) == (1e-5, 1e-6)
    assert "QuickGELU" in type(models["plip"].blocks[0].mlp.act).__name__
