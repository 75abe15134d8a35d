"""H5 files with features alone: rows from here, positions from patch files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import kind_of, open_source, sources_in

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize(("name", "values"), [("features", VALUES), ("feats", VALUES[None])])
def test_features_alone_are_a_kind_of_their_own(tmp_path: Path, name: str, values: np.ndarray) -> None:
    with h5py.File(tmp_path / "s.1.h5", "w") as file:
        file[name] = values
        file[name].attrs["encoder"] = "uni"
    assert kind_of(tmp_path / "s.1.h5") == "h5-features"
    (source,) = sources_in(tmp_path / "s.1.h5", "h5-features")
    with open_source(source) as opened:
        assert (source.slide_id, opened.rows, opened.width, opened.coords_xy) == ("s.1", 4, 3, None)
        assert opened.geometry.encoder == "uni"
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), VALUES)


def test_numbers_that_are_no_features_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["features"] = VALUES.astype("u2")
    (source,) = sources_in(tmp_path / "s.h5", "h5-features")
    wanted = r"holds uint16, expected float16 or float32 .*bfloat16"
    with pytest.raises(PathPluginsError, match=wanted), open_source(source):
        pass
