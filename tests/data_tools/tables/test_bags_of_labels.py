from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import Source
from pathplugins.data_tools.tables.bags_of_labels import check_bags, find_bags, join_bags
from pathplugins.data_tools.tables.labels import SlideLabel


def label(row: int, slide: str, text: str = "a") -> SlideLabel:
    return SlideLabel(row, slide, text, {})


def source(name: str, kind: str = "pathplugins") -> Source:
    path = Path("bags") / name
    return Source(path=path, kind=kind, slide_id=path.stem)


def bag(path: Path, width: int = 8, encoder: str | None = "uni", **attributes: float) -> Source:
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"], file["coords_yx"] = np.ones((3, width), np.float16), np.arange(6).reshape(3, 2)
        file.attrs.update({"tool_version": "1", **({"encoder": encoder} if encoder else {}), **attributes})
    return Source(path=path, kind="pathplugins", slide_id=path.stem)


def test_ids_match_exactly_but_for_suffixes() -> None:
    labels = [label(2, "s.1.svs"), label(3, "dir/007.tiff"), label(4, "7"), label(5, "S9")]
    joined = join_bags(labels, [source("s.1.h5"), source("007.svs.h5"), source("s9.h5")])
    assert [(slide.slide_id, slide.label.row, slide.bag.name) for slide in joined.slides] == [
        ("s.1", 2, "s.1.h5"),
        ("007", 3, "007.svs.h5"),
        ("s9", 5, "s9.h5"),
    ]
    assert joined.faults == {"labels without a bag": ["7 (line 4)"]}
    assert joined.notes == ["1 id changed by a spreadsheet, read as before the change: S9 is s9"]
    assert joined.report() == "1 labels without a bag:\n  7 (line 4)"


def test_ids_that_a_spreadsheet_changed_are_matched_where_they_are_clear() -> None:
    joined = join_bags([label(2, "7"), label(3, "1.23E+05"), label(4, "8")], [source("007.h5"), source("123456.h5")])
    assert [slide.slide_id for slide in joined.slides] == ["007", "123456"]
    assert "7 is 007, 1.23E+05 is 123456" in joined.notes[0]
    assert joined.faults == {"labels without a bag": ["8 (line 4)"]}
    with pytest.raises(PathPluginsError, match="7 may be 007 or 07"):
        join_bags([label(2, "7")], [source("007.h5"), source("07.h5")])


def test_what_is_not_certain_is_left_to_the_report() -> None:
    labels = [label(2, "a"), label(3, "a.svs", "b"), label(4, "c"), label(5, "c.svs"), label(6, "d")]
    joined = join_bags(labels, [source("a.h5"), source("c.h5"), source("d.h5"), source("d.svs.h5")])
    assert [slide.slide_id for slide in joined.slides] == ["c"]
    assert joined.faults["slides with several labels"] == ["a: line 2: a, line 3: b"]
    assert joined.faults["slides named more than once"] == ["c: line 4: a, line 5: a"]
    assert joined.faults["slides with several bags"] == [f"d: {Path('bags/d.h5')}, {Path('bags/d.svs.h5')}"]


def test_files_that_trainers_do_not_read_come_with_the_command_that_converts_them(tmp_path: Path) -> None:
    folder = tmp_path / "feats"
    folder.mkdir()
    (folder / "s1.csv").write_text("0,1,2\n1,2,3\n")
    with pytest.raises(PathPluginsError, match=r"1 slidechat-csv of 1 .*`pathdata convert features .*feats --coords"):
        find_bags(folder)
    bag(folder / "s1.h5")
    (folder / "s1.csv").unlink()
    (folder / "s2.h5").write_bytes(b"half")
    sources, unreadable = find_bags(folder)
    assert [each.slide_id for each in sources] == ["s1"]
    assert "s2.h5" in unreadable[0]


def test_bags_without_positions_are_joined_and_noted(tmp_path: Path) -> None:
    """The towers `features` and `patch_mlp` read them as they are."""
    for slide, name in (("s1", "features"), ("s2", "feats")):
        with h5py.File(tmp_path / f"{slide}.h5", "w") as file:
            file[name] = np.ones((3, 4), np.float32)
    sources, unreadable = find_bags(tmp_path)
    joined = join_bags([label(2, "s1"), label(3, "s2")], sources)
    (note,) = check_bags(joined)
    assert note.startswith("2 bags hold no positions")
    assert ([slide.slide_id for slide in joined.slides], joined.faults, unreadable) == (["s1", "s2"], {}, [])


def test_bags_are_read_before_anything_is_written(tmp_path: Path) -> None:
    sources = [bag(tmp_path / "s1.h5"), bag(tmp_path / "s2.h5", level0_mpp=0.25)]
    joined = join_bags([label(2, "s1"), label(3, "s2"), label(4, "s3")], [*sources, source("s3.h5")])
    (note,) = check_bags(joined)
    assert note.startswith(f"1 bags record no scale of their positions ({tmp_path / 's1.h5'})")
    assert [slide.slide_id for slide in joined.slides] == ["s1", "s2"]
    assert "no such file" in joined.faults["bags that cannot be read"][0]


@pytest.mark.parametrize(("width", "encoder"), [(9, "uni"), (8, "conch")])
def test_bags_of_two_encoders_are_refused(width: int, encoder: str, tmp_path: Path) -> None:
    sources = [bag(tmp_path / "s1.h5"), bag(tmp_path / "s2.h5", width, encoder)]
    with pytest.raises(PathPluginsError, match="bags are of several encoders"):
        check_bags(join_bags([label(2, "s1"), label(3, "s2")], sources))


@pytest.mark.parametrize("tool", ["clam", "trident", "stamp", "unpuzzle"])
def test_bags_of_other_tools_are_joined_as_they_are(tool: str, tmp_path: Path) -> None:
    places = {"clam": "h5_files", "trident": "20x_256px_0px_overlap/features_uni"}
    folder = tmp_path / places.get(tool, ".")
    folder.mkdir(parents=True, exist_ok=True)
    features, coords = np.ones((3, 6), np.float32), np.arange(6).reshape(3, 2) * 256
    with h5py.File(folder / "s1.h5", "w") as file:
        file["feats" if tool == "stamp" else "features"] = features
        file["coords_yx" if tool == "unpuzzle" else "coords"] = coords
        if tool == "trident":
            file["coords"].attrs["patch_size"] = 256
        if tool == "stamp":
            file.attrs["unit"] = "um"
    if tool == "clam":  # the same features without positions, and positions without features
        (tmp_path / "pt_files").mkdir()
        (tmp_path / "pt_files" / "s1.pt").write_bytes(b"never opened")
        (tmp_path / "patches").mkdir()
        with h5py.File(tmp_path / "patches" / "s1.h5", "w") as file:
            file["coords"] = coords
    sources, unreadable = find_bags(tmp_path)
    joined = join_bags([label(2, "s1.svs")], sources)
    notes = check_bags(joined)
    assert ([slide.bag.name for slide in joined.slides], joined.faults, unreadable) == (["s1.h5"], {}, [])
    assert bool(notes) == (tool != "stamp")
