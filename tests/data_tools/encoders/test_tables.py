"""Tables of the encoders."""

from pathplugins.data_tools.encoders.tables import encoder_overview, encoder_records, encoder_table
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


def test_the_overview_says_what_each_is_meant_for() -> None:
    heading, *rows = encoder_overview()
    table = {row[0].strip("`"): dict(zip(heading, row, strict=True)) for row in rows}
    assert [*table] == [card.name for card in CARDS]
    assert table["gigapath"]["patches it is meant for"] == "256 px at 0.5 um/px"
    assert table["plip"]["patches it is meant for"] == "not stated"
    assert table["ptcga200-mae"]["weights"] == "[from the authors](https://github.com/enigmanx20/PatchTCGA)"
    assert all(row["encoder"] and row["checked"] for row in table.values())


def test_records_keep_the_licence_as_shown_and_its_sources_beside() -> None:
    record = next(record for record in encoder_records() if record["name"] == "pathgen-clip-l")
    assert record["licence"] == "CC-BY-NC-4.0"
    assert [statement["says"] for statement in record["licence_statements"]] == ["cc-by-nc-4.0", "cc-by-2.0"]
