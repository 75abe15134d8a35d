"""A slide unlike the others of a conversion is noted, or refused where its width differs."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import Source, open_source
from pathplugins.data_tools.bags.usual import usual_of


def slide(folder: Path, name: str, *, width: int = 3, encoder: str = "uni", magnification: int = 20) -> Source:
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["features"], file["coords"] = np.ones((4, width), np.float32), np.arange(8).reshape(4, 2)
        file["features"].attrs["encoder"] = encoder
        file["coords"].attrs["target_magnification"] = magnification
    return Source(path=folder / f"{name}.h5", kind="trident", slide_id=name)


def test_what_differs_is_said(tmp_path: Path) -> None:
    good = [slide(tmp_path, name) for name in "abc"]
    odd = slide(tmp_path, "d", encoder="conch", magnification=40)
    wide = slide(tmp_path, "e", width=5)
    (tmp_path / "f.h5").write_bytes(b"no H5")
    gone = Source(path=tmp_path / "f.h5", kind="trident", slide_id="f")
    usual = usual_of([*good, odd, wide, gone])
    with open_source(good[0]) as opened:
        assert usual.notes_on(good[0], opened) == []
    with open_source(odd) as opened:
        assert usual.notes_on(odd, opened) == [
            "features of the encoder 'conch', most here are of 'uni': no model takes both",
            "patches at 0.25 um/px, 4 of 5 bags here are at 0.5",
        ]
    with open_source(wide) as opened, pytest.raises(PathPluginsError, match="5 wide, most here are 3"):
        usual.notes_on(wide, opened)
