"""Encoder cards: defaults are those of a model of timm that nobody described."""

from pathplugins.published.encoder_card import EncoderCard, Frame


def test_a_card_needs_no_more_than_a_name() -> None:
    card = EncoderCard(name="x", architecture="resnet18")
    assert (card.pool, card.precision, card.gated, card.local_only) == ("model", "float16", False, False)
    assert (card.preprocess, card.frame, card.width) == (None, None, None)
    assert card.licence.shown == "see timm"


def test_a_frame_reads_as_patches_at_a_resolution() -> None:
    assert str(Frame(patch_px=512, mpp=0.39, by="its README")) == "512 px at 0.39 um/px"


def test_widths_in_bags_are_that_of_the_row_and_of_the_class_token_alone() -> None:
    joined = EncoderCard(name="x", pool="class+mean", width=2560, token_width=1280)
    assert joined.widths == (2560, 1280)
    assert EncoderCard(name="x", width=512, token_width=768).widths == (512,)
    assert EncoderCard(name="x").widths == ()


def test_access_is_open_gated_or_a_file_of_one_s_own() -> None:
    cards = (EncoderCard(name="x", **options) for options in ({}, {"gated": True}, {"local_only": True}))
    assert [card.access for card in cards] == ["open", "gated", "own file"]
