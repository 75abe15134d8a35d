"""Hibou: both rows build the models they describe."""

import pytest
from encoder_rows import check_row

from pathplugins.encoders.build import build_model
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.hibou import HIBOU

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


@pytest.mark.parametrize(("card", "parameters", "hidden"), [(HIBOU[0], 85.7e6, 2048), (HIBOU[1], 303.7e6, 2736)])
def test_rows_build_the_models_they_describe(card: EncoderCard, parameters: float, hidden: int) -> None:
    check_row(card, parameters)  # as LazySlide counts
    with torch.device("meta"):
        model = build_model(card)
    assert model.num_prefix_tokens == 5
    assert model.blocks[0].mlp.fc2.in_features == hidden  # two thirds of four times the width, in steps of 8
    assert card.gated
