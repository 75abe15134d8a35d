from __future__ import annotations

import pytest

from pathplugins.published.encoder_names import SPELLINGS, encoder_key
from pathplugins.published.encoders import CARDS

NAMES = {card.name for card in CARDS}


def test_every_line_is_of_an_encoder_of_ours_and_no_spelling_is_of_two() -> None:
    assert {*SPELLINGS} <= NAMES
    spellings = [spelling for others in SPELLINGS.values() for spelling in others]
    assert len({*spellings} | NAMES) == len(spellings) + len(NAMES)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_name_and_hub_id_are_one_encoder(card: object) -> None:
    assert encoder_key(card.name) == card.name
    if card.hub_id and not card.hub_id.startswith("timm/"):
        assert encoder_key(card.hub_id) == encoder_key(f"hf-hub:{card.hub_id}") == card.name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("UNI_v2", "uni2-h"), ("hoptimus1", "h-optimus-1"), ("Prov-GigaPath ", "gigapath"), ("my_Encoder", "my-encoder")],
)
def test_spellings_of_other_tools(spelling: str, name: str) -> None:
    assert encoder_key(spelling) == name
