"""DINOv2 and SigLIP 2: rows as timm records the weights."""

import pytest
from encoder_rows import check_row

from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.general import GENERAL

timm = pytest.importorskip("timm")


@pytest.mark.parametrize("card", GENERAL, ids=lambda card: card.name)
def test_rows_are_what_timm_records(card: EncoderCard) -> None:
    check_row(card)
    known = timm.get_pretrained_cfg(card.hub_id.removeprefix("timm/"))
    assert known.license == card.licence.shown.lower()
    assert (known.mean, known.std, known.interpolation) == (
        card.preprocess.mean,
        card.preprocess.std,
        card.preprocess.interpolation,
    )
    assert known.hf_hub_id == card.hub_id
    assert card.frame is None  # nobody says
