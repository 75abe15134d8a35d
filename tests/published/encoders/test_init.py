"""The table of all patch encoders."""

from pathplugins.published.encoders import CARDS

FIELD = """
gigapath uni uni2-h virchow virchow2 h-optimus-0 h-optimus-1 h0-mini phikon phikon-v2 hibou-b
hibou-l kaiko-vits8 kaiko-vits16 kaiko-vitb8 kaiko-vitb16 kaiko-vitl14 midnight-12k lunit-vits8
lunit-vits16 lunit-swav lunit-bt conch conch-v1.5 musk plip ctranspath
"""
"""Names that users of the field ask for."""


def test_the_encoders_of_the_field_are_rows() -> None:
    names = [card.name for card in CARDS]
    assert {*FIELD.split()} <= {*names}
    assert len({*names}) == len(names)


def test_every_row_says_what_a_vision_tower_of_it_gives() -> None:
    assert [card.name for card in CARDS if not (card.tokens and card.token_width)] == []
    assert [card.name for card in CARDS if not (card.gated or card.local_only or card.licence.statements)] == []
