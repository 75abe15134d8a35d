"""Tables of the CLIP checkpoints."""

from pathplugins.data_tools.clip.tables import clip_lines, clip_overview, clip_records
from pathplugins.published.pathgen_clip import CHECKPOINTS


def test_every_checkpoint_stands_in_each() -> None:
    heading, *rows = clip_overview()
    assert [row[0] for row in rows] == [f"`{row.name}`" for row in CHECKPOINTS]
    assert all(len(row) == len(heading) for row in rows)
    assert [record["name"] for record in clip_records()] == [row.name for row in CHECKPOINTS]
    assert [text.partition(" ")[0] for text in clip_lines()] == [row.name for row in CHECKPOINTS]


def test_an_open_activation_says_what_to_pass() -> None:
    table = {row[0].strip("`"): dict(zip(clip_overview()[0], row, strict=True)) for row in clip_overview()[1:]}
    assert table["pathgen-clip"]["activation"] == "open: pass `--activation`"
    assert table["pathgen-clip-l"]["activation"] == "`quick_gelu`"
    assert "the sources differ" in table["pathgen-clip-l"]["licence"]
    assert (table["pathgen-clip"]["access"], table["pathgen-clip-l"]["access"]) == ("gated", "open")
