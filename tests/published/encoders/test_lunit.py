"""Lunit's encoders: each row builds the model it describes, with Lunit's own mean and deviation."""

import pytest
from encoder_rows import check_row

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.lunit import LUNIT, MEAN, STD


@pytest.mark.parametrize("card", LUNIT, ids=lambda card: card.name)
def test_rows_build_the_models_they_describe(card: EncoderCard) -> None:
    check_row(card, {"lunit-vits8": 21.7e6, "lunit-swav": 23.5e6, "lunit-bt": 23.5e6}.get(card.name))
    assert (card.preprocess.mean, card.preprocess.std) == (MEAN, STD)
    assert (card.frame.patch_px, card.frame.mpp) == (224, 0.5)
