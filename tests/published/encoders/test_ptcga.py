"""PatchTCGA's encoders: six rows, weights on no hub, patches of 200 um."""

import pytest
from encoder_rows import check_row

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.ptcga import PTCGA200, UNNORMALISED

timm = pytest.importorskip("timm")


@pytest.mark.parametrize("card", PTCGA200, ids=lambda card: card.name)
def test_rows_build_the_models_they_describe(card: EncoderCard) -> None:
    check_row(card)
    assert card.local_only
    assert card.frame.patch_px * card.frame.mpp == pytest.approx(200, abs=0.5)  # microns
    assert (card.preprocess == UNNORMALISED) == (card.name == "ptcga200-simclr")
