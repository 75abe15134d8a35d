"""Slides without a file are named once, with the number of their patches."""

from collections import Counter
from pathlib import Path

from pathplugins.data_tools.slides.missing import missing_slides

NAME = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"


def test_missing_slides_are_named_once_with_their_patches(tmp_path: Path) -> None:
    patches = Counter({NAME: 3, NAME.lower(): 2, "there": 7, "z": 1, "a": 1})
    missing = missing_slides(patches, {"there"})
    assert missing.slides == {NAME: 5, "a": 1, "z": 1}
    text = missing.text("are not in slides/", tmp_path / "missing.tsv")
    assert text.splitlines() == [
        "3 of 4 slides are not in slides/ (7 of 14 patches):",
        f"  {NAME}: 5 patches",
        "  a: 1 patch",
        "  z: 1 patch",
        f"All of them: {tmp_path / 'missing.tsv'}",
    ]
    missing.write(tmp_path / "missing.tsv")
    assert (tmp_path / "missing.tsv").read_text() == f"wsi_id\tpatches\n{NAME}\t5\na\t1\nz\t1\n"


def test_many_missing_slides_are_all_in_the_file_and_none_leaves_no_file(tmp_path: Path) -> None:
    table = tmp_path / "missing.tsv"
    missing = missing_slides({f"s{number}": 2 for number in range(25)}, ())
    missing.write(table)
    assert missing.text("are nowhere").endswith("\n  ... and 5 more")
    assert len(table.read_text().splitlines()) == 26
    none = missing_slides({"s": 1}, {"s"})
    none.write(table)
    assert none.text("are nowhere") == ""
    assert not table.exists()
