"""Feature files in a folder: the slides, what is left out and why."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.find import find_sources

F, XY = np.zeros((5, 3), np.float32), np.zeros((5, 2), np.int32)


def h5(path: Path, **datasets: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
    return path


def test_slides_and_what_lies_beside_them(tmp_path: Path) -> None:
    h5(tmp_path / "h5_files" / "a.h5", features=F, coords=XY)
    h5(tmp_path / "patches" / "a.h5", coords=XY)
    h5(tmp_path / ".hidden" / "c.h5", features=F, coords=XY)
    h5(tmp_path / "odd.h5", other=F)
    (tmp_path / "pt_files").mkdir()
    (tmp_path / "pt_files" / "a.pt").write_bytes(b"a copy of CLAM's, not looked at")
    (tmp_path / "notes.txt").write_text("not looked at")
    sources, others = find_sources(tmp_path, "auto")
    assert [(source.slide_id, source.kind) for source in sources] == [("a", "clam")]
    assert [(Path(other.source).name, other.status) for other in others] == [("odd.h5", "failed"), ("a.h5", "left out")]
    assert others[1].reason == (
        "patches: positions without features; encode them (`pathdata features`), or give them as --coords with features"
    )
    sources, others = find_sources(tmp_path / "h5_files", "trident")  # CLAM's layout may be TRIDENT's with less said
    assert (len(sources), others) == (1, [])


def test_a_slide_twice_or_none_at_all(tmp_path: Path) -> None:
    h5(tmp_path / "uni" / "a.h5", features=F, coords=XY)
    h5(tmp_path / "plip" / "a.h5", features=F, coords=XY)
    with pytest.raises(PathPluginsError, match=r"1 slides were found more than once, e\.g\. .*pass the folder of one"):
        find_sources(tmp_path, "auto")
    with pytest.raises(
        PathPluginsError, match=r"no features \(left out: .*a\.h5, clam, asked for stamp\); name a folder"
    ):
        find_sources(tmp_path / "uni", "stamp")
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        find_sources(tmp_path / "nowhere", "auto")


def test_bags_that_only_trainers_read_are_found_where_asked_for(tmp_path: Path) -> None:
    h5(tmp_path / "a.h5", features=F, coords_yx=XY)
    with pytest.raises(PathPluginsError, match=r"left out: .*unpuzzle"):
        find_sources(tmp_path, "auto")
    sources, others = find_sources(tmp_path, "auto", as_they_are=True)
    assert ([(source.slide_id, source.kind) for source in sources], others) == ([("a", "unpuzzle")], [])
