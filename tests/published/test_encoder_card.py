"""Encoder cards: defaults are those of a model of timm that nobody described."""

from pathplugins.published.encoder_card import EncoderCard, Frame


def test_a_card_needs_no_more_than_a_name() -> None:
    card = EncoderCard(name="x", architecture="resnet18")
    assert (card.pool, card.precision, card.gated, card.local_only) == ("model", "float16", False, False)
    assert (card.preprocess, card.frame, card.width) == (None, None, None)
    assert card.licence.shown == "see timm"


def test_a_frame_reads_as_patches_at_a_resolution() -> None:
    assert str(Frame(patch_px=512, mpp=0.39, by="its README")) == "512 px at 0.39 um/px"
