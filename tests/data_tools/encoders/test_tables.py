"""Tables of the encoders."""

from pathplugins.data_tools.encoders.tables import encoder_table
from pathplugins.published.encoders import CARDS


def test_table_has_every_card() -> None:
    heading, *rows = encoder_table()
    assert [row[0] for row in rows] == [card.name for card in CARDS]
    assert all(len(row) == len(heading) for row in rows)
    table = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    assert (table["gigapath"]["input"], table["gigapath"]["access"]) == ("256 -> 224 px", "gated")
    assert (table["conch"]["input"], table["conch"]["normalisation"]) == ("448 px", "CLIP")
    assert table["h-optimus-0"]["normalisation"] == "its own"
    assert (table["ptcga200-simclr"]["normalisation"], table["ptcga200-simclr"]["access"]) == ("none", "own file")
    assert table["uni2-h"]["precision"] == "bfloat16"
