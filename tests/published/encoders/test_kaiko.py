"""kaiko.ai's encoders: each row builds the model it describes."""

import pytest
from encoder_rows import check_row

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.kaiko import KAIKO

PARAMETERS = {"kaiko-vits8": 21.7e6, "kaiko-vitb16": 85.8e6, "midnight-12k": 1.135e9}
"""As LazySlide counts, but for those of 16 px."""


@pytest.mark.parametrize("card", KAIKO, ids=lambda card: card.name)
def test_rows_build_the_models_they_describe(card: EncoderCard) -> None:
    check_row(card, PARAMETERS.get(card.name))
    assert (card.preprocess.mean, card.preprocess.std) == ((0.5,) * 3, (0.5,) * 3)
    assert not card.gated


def test_weights_of_another_grid_are_resized_by_the_rule_of_their_loaders() -> None:
    assert {card.name: card.positions for card in KAIKO if card.positions} == {
        "kaiko-vitl14": "timm",
        "midnight-12k": "plain",
    }
