"""Patch encoders trained on images: each row builds the model it describes."""

import pytest
from encoder_rows import check_row

from pathplugins.encoders.build import build_model
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.self_supervised import (
    GIGAPATH,
    PHIKON,
    SELF_SUPERVISED,
    UNI2_H,
    VIRCHOW,
    VIRCHOW2,
)
from pathplugins.published.preprocessing import Preprocess

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")

PARAMETERS = {
    "gigapath": 1_134_953_984,
    "uni": 303.35e6,
    "uni2-h": 681.39e6,
    "virchow": 631.2e6,
    "virchow2": 631.2e6,
    "h-optimus-0": 1.13e9,
    "phikon-v2": 303.35e6,
}
"""As published, but for gigapath, which was counted."""


@pytest.mark.parametrize("card", SELF_SUPERVISED, ids=lambda card: card.name)
def test_rows_build_the_models_they_describe(card: EncoderCard) -> None:
    check_row(card, PARAMETERS.get(card.name))


def test_gigapath_is_the_published_model() -> None:
    with torch.device("meta"):
        model = build_model(GIGAPATH)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS["gigapath"]
    assert model.patch_embed.patch_size == (16, 16)
    assert GIGAPATH.preprocess == Preprocess(resize_px=256, crop_px=224)
    assert GIGAPATH.gated


def test_registers_and_epsilon_are_those_of_the_rows() -> None:
    with torch.device("meta"):
        models = {card.name: build_model(card) for card in (VIRCHOW, VIRCHOW2, UNI2_H, PHIKON)}
    prefixes = {name: model.num_prefix_tokens for name, model in models.items()}
    assert prefixes == {"virchow": 1, "virchow2": 5, "uni2-h": 9, "phikon": 1}
    assert models["phikon"].norm.eps == 1e-6
