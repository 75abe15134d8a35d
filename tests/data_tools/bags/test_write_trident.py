"""TRIDENT's file of a slide, read back by our reader."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.data_tools.bags.base import Geometry, Source
from pathplugins.data_tools.bags.h5_bags import open_source
from pathplugins.data_tools.bags.write_trident import path_of, write

F = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
XY = np.stack([np.arange(7) * 512, np.arange(7) % 2 * 512 + 9000], axis=1)
GEOMETRY = Geometry(
    **{"encoder": "uni", "patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25},
    **{"level0_width": 9001, "level0_height": 10_007},
)


def test_names_of_encoders_become_folders(tmp_path: Path) -> None:
    assert path_of(tmp_path, "a.1", "uni") == tmp_path / "features_uni" / "a.1.h5"
    assert path_of(tmp_path, "a", "hf-hub:MahmoodLab/UNI").parent.name == "features_hf-hub_MahmoodLab_UNI"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_written_is_read_back(tmp_path: Path, dtype: str) -> None:
    path = path_of(tmp_path, "a", "uni")
    write(path, [F[:2], F[2:]], XY, GEOMETRY, width=3, dtype=dtype, mark={"conversion": "{}"})
    with h5py.File(path) as file:
        attributes = dict(file["coords"].attrs)
        assert (attributes["level0_magnification"], attributes["target_magnification"]) == (40, 20)
        assert (file["features"].attrs["encoder"], file.attrs["conversion"]) == ("uni", "{}")
    with open_source(Source(path=path, kind="trident", slide_id="a")) as opened:
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), F.astype(dtype))
        np.testing.assert_array_equal(opened.coords_xy, XY)
        assert opened.geometry == GEOMETRY
